"""Every workflow a worker runs. A new workflow is added to this list, and nowhere else."""

from workflows.account import ChangeOfAccount, Deposit, Opening
from workflows.batch import Batch, Chunk
from workflows.entry import Entry
from workflows.hold import Hold
from workflows.notification import Notification
from workflows.scheduled import ScheduledTransfer
from workflows.sweep import Sweep
from workflows.transfer import ExpressTransfer, Transfer

ALL: list[type] = [
    Transfer,
    ExpressTransfer,
    ScheduledTransfer,
    Hold,
    Entry,
    Notification,
    Deposit,
    Opening,
    ChangeOfAccount,
    Sweep,
    Batch,
    Chunk,
]
