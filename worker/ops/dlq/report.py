"""What a redrive says: a line for each letter as soon as its outcome is known, and the sums at the end."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from worker.ops import terminal
from worker.ops.dlq.letter import instant
from worker.ops.dlq.plan import Outcome, Step, Target
from worker.ops.replay.range_scan import Refusal, State
from worker.ops.replay.run import Stop

_COLUMNS = ("letter", "letters", "failed at", "reason", "entity", "record", "outcome", "detail")
_WORDS = {
    Outcome.SEND: "to send",
    Outcome.SENT: "sent",
    Outcome.SUPERSEDED: "superseded",
    Outcome.REFUSED: "refused",
    Outcome.INVALID: "invalid",
    Outcome.FAILED: "failed",
}


class Report:
    """`mask` takes the secrets out of a text: the API may repeat the key that it was sent.

    Where nobody reads the lines any more, it asks to stop, so that what was sent is still checked.
    """

    def __init__(self, topic: str, mask: Callable[[str], str], stop: Stop, *, executes: bool, as_json: bool) -> None:
        self._topic, self._mask, self._stop = topic, mask, stop
        self._executes, self._as_json = executes, as_json
        self._steps: Sequence[Step] = ()
        self._open: dict[int, Step] = {}
        self._broken: OSError | None = None

    def begin(self, steps: Sequence[Step], targets: Iterable[Target]) -> None:
        """The plan. What is not to be sent is said at once."""
        self._steps = steps
        if self._executes:
            self._open = {id(step): step for target in targets for step in target.steps}
            if not self._as_json and not terminal.is_terminal(sys.stdout):
                terminal.row(_COLUMNS)
            self._print([step for step in steps if id(step) not in self._open])

    def finished(self, target: Target, state: State, refusal: Refusal | None) -> None:
        target.finish(state, refusal)
        self._close(target.steps)

    def unchecked(self, target: Target, failing: str) -> None:
        """It was sent, or was about to be, when the redrive ended."""
        for step in target.steps:
            step.outcome = Outcome.FAILED
            step.detail = f"sent, and not checked for newer states{failing}: run it again"
        self._close(target.steps)

    def end(self) -> int:
        """Returns the exit code. Raises OSError where the lines could not be written."""
        unfinished = list(self._open.values())
        for step in unfinished:
            deleted = Outcome.FAILED, "its record was deleted meanwhile: run it again"
            step.outcome, step.detail = (Outcome.SEND, "not done") if self._stop.asked else deleted
        self._close(unfinished)
        if not self._executes and self._as_json:
            self._print(self._steps)
        elif not self._executes and self._steps:
            terminal.table(f"Dead letters on {self._topic}", _COLUMNS, map(_row, self._steps))
        if self._broken is not None:
            raise self._broken
        outcomes = Counter(step.outcome for step in self._steps)
        said = ", ".join(f"{outcomes[outcome]:,} {words}" for outcome, words in _WORDS.items() if outcomes[outcome])
        left = bool(unfinished) and self._stop.asked
        terminal.note(f"{said or 'no letter is chosen'}{self._next(outcomes, left=left)}")
        return 1 if left or outcomes[Outcome.REFUSED] or outcomes[Outcome.FAILED] else 0

    def _next(self, outcomes: Counter[Outcome], *, left: bool) -> str:
        if not self._executes:
            return "; nothing was sent" + (": --execute does it" if outcomes[Outcome.SEND] else "")
        return "; stopped: run it again, which is safe" if left else ""

    def _close(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self._open.pop(id(step), None)
            step.detail = self._mask(step.detail)
        self._print(steps)

    def _print(self, steps: Sequence[Step]) -> None:
        if self._broken is not None:
            return
        try:
            for step in steps:
                if self._as_json:
                    terminal.emit_line(_document(step))
                elif terminal.is_terminal(sys.stdout):
                    terminal.row((step.letter.name or step.letter.where, step.letter.origin, step.outcome, step.detail))
                else:
                    terminal.row(_row(step))
        except OSError as error:
            self._broken, self._stop.asked = error, True


def _document(step: Step) -> dict[str, object]:
    by = None if step.superseded_by is None else str(step.superseded_by)
    return step.letter.summary() | {"outcome": step.outcome, "detail": step.detail, "superseded_by": by}


def _row(step: Step) -> tuple[object, ...]:
    letter = step.letter
    failed_at = instant(letter.failed_at)
    return (
        letter.where,
        letter.letters,
        failed_at,
        letter.reason,
        letter.name,
        letter.origin,
        step.outcome,
        step.detail,
    )
