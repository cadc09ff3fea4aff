"""`optico-worker dlq`: the dead-letter topic read, and letters sent back."""

from worker.ops.dlq.letter import RecordPosition
from worker.ops.dlq.redrive import Orders, redrive
from worker.ops.dlq.shelf import Selection
from worker.ops.dlq.show import list_letters, show_letters

__all__ = ["Orders", "RecordPosition", "Selection", "list_letters", "redrive", "show_letters"]
