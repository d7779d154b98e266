"""Kinds of fault: every way in which the suite breaks things, and how often each must fire in a full run.

A planned fault that did not happen proves nothing, so a full run in which a kind stays below its floor is invalid,
whatever else it found (invariant I15).
"""

from enum import StrEnum


class Kind(StrEnum):
    """What was broken. The value is `where.what`, as it stands in the report."""

    FAILPOINT_KILL = "failpoint.kill"
    FAILPOINT_RAISE = "failpoint.raise"
    FAILPOINT_STALL = "failpoint.stall"

    WORKER_KILL = "worker.kill"
    WORKER_TERM = "worker.term"
    WORKER_FREEZE = "worker.freeze"
    WORKER_EVICTED = "worker.evicted"
    CLOCK_JUMP = "worker.clock_jump"

    TEMPORAL_KILL = "temporal.kill"
    TEMPORAL_FREEZE = "temporal.freeze"

    POSTGRES_BACKEND_KILL = "postgres.backend_kill"
    POSTGRES_KILL = "postgres.postmaster_kill"
    POSTGRES_STOP = "postgres.immediate_stop"
    POSTGRES_CUT_BEFORE = "postgres.cut_before"
    POSTGRES_CUT_AFTER = "postgres.cut_after"

    GRPC_REQUEST_UNAVAILABLE = "grpc.request_dropped.unavailable"
    GRPC_REQUEST_DEADLINE = "grpc.request_dropped.deadline"
    GRPC_RESPONSE_UNAVAILABLE = "grpc.response_dropped.unavailable"
    GRPC_RESPONSE_DEADLINE = "grpc.response_dropped.deadline"
    GRPC_DUPLICATED = "grpc.duplicated"
    GRPC_DELAYED = "grpc.delayed"
    GRPC_RESET = "grpc.reset"

    NETWORK_LATENCY = "network.latency"
    NETWORK_BANDWIDTH = "network.bandwidth"
    NETWORK_RESET = "network.reset"
    NETWORK_BLACKHOLE = "network.blackhole"

    SQLITE_EIO_WRITE = "sqlite.eio_write"
    SQLITE_EIO_SYNC = "sqlite.eio_sync"
    SQLITE_NO_SPACE = "sqlite.no_space"
    SQLITE_DISK_FULL = "sqlite.disk_full"
    SQLITE_POWER_CUT = "sqlite.power_cut"

    WORKFLOW_RESET = "workflow.reset"
    WORKFLOW_CANCEL = "workflow.cancel"
    WORKFLOW_TERMINATE = "workflow.terminate"
    WORKFLOW_DELETED = "workflow.deleted"
    WORKFLOW_RETENTION = "workflow.retention_expired"

    CALLER_REPEATS = "caller.repeats"
    CALLER_OTHER_CONTENT = "caller.other_content"
    CALLER_KILLED = "caller.killed"
    RECEIVER_SILENT = "receiver.takes_it_and_times_out"

    RESTORE_LEDGER = "restore.older_ledger"
    RESTORE_TEMPORAL = "restore.older_temporal"


FLOORS: dict[Kind, int] = dict.fromkeys(Kind, 1)
"""How often each kind must fire in a full run."""
