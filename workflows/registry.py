"""Every workflow a worker runs. A new workflow is added to this list, and nowhere else."""

from workflows.account import ChangeOfAccount, Deposit, Opening
from workflows.approved import Approved, ApprovedTransfer
from workflows.batch import Batch, Chunk
from workflows.contradicted import Contradicted
from workflows.entry import Entry
from workflows.hold import Hold
from workflows.limits import ChangeOfLimits
from workflows.notification import Notification
from workflows.payout import Payout
from workflows.recurring import Occurrence
from workflows.returned import Returned
from workflows.scheduled import ScheduledTransfer
from workflows.sweep import Sweep
from workflows.transfer import ExpressTransfer, Transfer

ALL: list[type] = [
    Transfer,
    ExpressTransfer,
    ScheduledTransfer,
    Hold,
    ApprovedTransfer,
    Approved,
    Payout,
    Returned,
    Contradicted,
    Entry,
    Notification,
    Deposit,
    Opening,
    ChangeOfAccount,
    ChangeOfLimits,
    Sweep,
    Occurrence,
    Batch,
    Chunk,
]
