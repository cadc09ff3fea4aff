"""`optico-worker dlq`: the dead-letter topic is read, and the states of chosen letters are delivered."""

from worker.ops.dlq.letter import position
from worker.ops.dlq.letter_reader import Selection
from worker.ops.dlq.redrive import RedriveOptions, redrive
from worker.ops.dlq.show import list_letters, show_letters

__all__ = ["RedriveOptions", "Selection", "list_letters", "position", "redrive", "show_letters"]
