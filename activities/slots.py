"""Slots: how many activities one worker runs at once, and how many of them may be deliveries of notifications.

Legs and deliveries share a task queue, because a workflow's own worker then starts its next leg without a round trip.
But a receiver that hangs must not take the slots that money needs: deliveries get half of them at most.
"""

ACTIVITIES = 500
"""One group commit takes as many."""


def deliveries(activities: int) -> int:
    """How many of a worker's activities may deliver at once: half of them, and at least one."""
    return max(1, activities // 2)
