"""What a redrive says at its end."""

from collections import Counter
from collections.abc import Sequence

from worker.ops import terminal
from worker.ops.dlq.memory import Memory
from worker.ops.dlq.plan import COLUMNS, Fate, Step

_WORDS = {
    Fate.REDRIVE: "to put back",
    Fate.REDRIVEN: "put back",
    Fate.SUPERSEDED: "superseded",
    Fate.DUPLICATE: "twice there",
    Fate.REFUSED: "refused",
    Fate.FAILED: "failed",
}


def report(steps: Sequence[Step], topic: str, memory: Memory, *, executed: bool, as_json: bool) -> None:
    """A line for each letter, and on standard error the sum of it and what to do next."""
    if as_json:
        for step in steps:
            terminal.emit_line(step.document())
    elif steps:
        terminal.table(f"Dead letters on {topic}", COLUMNS, (step.row() for step in steps))
    fates = Counter(step.fate for step in steps)
    said = ", ".join(f"{fates[fate]:,} {words}" for fate, words in _WORDS.items() if fates[fate])
    terminal.note(f"{said or 'no letter is open'}; {_next(fates, memory, executed=executed)}")


def _next(fates: Counter[Fate], memory: Memory, *, executed: bool) -> str:
    if not executed:
        return "nothing was changed" + (": --execute does it" if fates[Fate.REDRIVE] else "")
    if not memory.saved:
        return f"what was put back last is not remembered in group {memory.group}: --force would send it again"
    if fates[Fate.REDRIVE]:
        return "not finished: run it again to go on"
    exception = f", but for {memory.forgotten:,}: --force would send them again" if memory.forgotten else ""
    return f"remembered in group {memory.group}{exception}"
