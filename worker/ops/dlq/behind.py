"""What came just before a letter's copy, while nobody looked, would lose to it: it is written again, behind."""

from collections.abc import Sequence

from worker.adapters.kafka.writer import NewRecord, NotWritten, Writer
from worker.core.state import Partition
from worker.ops.dlq.later import Later
from worker.ops.dlq.letter import RecordPosition
from worker.ops.dlq.plan import Fate, Step
from worker.ops.dlq.shelf import Shelf
from worker.ops.dlq.transactions import Transactions
from worker.ports import FatalError, UnavailableError

#: So often a state is written again that came while it was written.
REPEATS_AT_MOST = 10


class Behind:
    """Looks into the log for what became of a batch after it was written.

    Blocks; raises as `Later` and `Writer` do.
    """

    def __init__(self, later: Later, shelf: Shelf, writer: Writer, transactions: Transactions) -> None:
        self._later, self._shelf, self._writer = later, shelf, writer
        self._transactions = transactions

    def look(self, steps: Sequence[Step]) -> None:
        """`steps`: those that were written, or may be. Each is redriven or failed at the end."""
        try:
            self._repeat_until_none_is_left(steps)
        except (UnavailableError, FatalError) as error:
            for step in steps:
                step.fate = Fate.FAILED
                step.detail += f"; whether something newer was written before it can't be seen: {error}"
            raise

    def _repeat_until_none_is_left(self, steps: Sequence[Step]) -> None:
        for _ in range(REPEATS_AT_MOST):
            if not steps:
                return
            steps = self._read_on(steps)
            steps = [step for step in steps if self._is_there(step) and self._overtaken(step) is not None]
            for step in steps:
                self._repeat(step)
            steps = [step for step in steps if step.fate is Fate.REDRIVEN]
        for step in steps:
            step.fate, step.detail = Fate.FAILED, f"{step.detail}; its entity changes too often to be put back now"

    def _read_on(self, steps: Sequence[Step]) -> list[Step]:
        """Up to what was written, or may be, and beyond. Those where that can be read; the others are failed."""
        closed = self._transactions.wait(self._ends(steps))
        for step in steps:
            if _at(step) in closed:
                step.fate, step.detail = Fate.FAILED, f"{step.detail}; {hidden(_at(step))}"
        seen = [step for step in steps if _at(step) not in closed]
        self._later.extend(self._later.extent({_at(step) for step in seen}), lambda _: None)
        return seen

    def _ends(self, steps: Sequence[Step]) -> dict[Partition, int]:
        places = [(step, self._later.ours(step.letter)) for step in steps]
        ends = self._transactions.ends({_at(step) for step, ours in places if ours is None})
        for _, ours in places:
            if ours is not None:
                ends[ours.where.at] = max(ends.get(ours.where.at, 0), ours.where.offset + 1)
        return ends

    def _is_there(self, step: Step) -> bool:
        """One whose answer got lost may be, whatever the answer."""
        ours = self._later.ours(step.letter)
        if ours is not None and step.fate is not Fate.REDRIVEN:
            step.fate, step.detail = Fate.REDRIVEN, f"it is {ours.where} now"
        return ours is not None

    def _overtaken(self, step: Step) -> RecordPosition | None:
        """A later record of the entity that stands before what we wrote, and is not what we have repeated."""
        newer, ours = self._later.of(step.letter), self._later.ours(step.letter)
        overtaken = newer is not None and ours is not None and newer < ours.where and newer != ours.of
        return newer if overtaken else None

    def _repeat(self, step: Step) -> None:
        newer = self._overtaken(step)
        assert newer is not None  # noqa: S101 - for the type checker
        record = self._shelf.values([newer]).get(newer)
        answer: int | NotWritten = NotWritten("deleted")
        if record is not None:
            headers = tuple((name, bytes(value or b"")) for name, value in record.headers)
            again = NewRecord(newer.at, record.key, record.value, headers)
            self._later.expect(step.letter, again, newer)
            (answer,) = self._writer.write([again])
        if isinstance(answer, NotWritten):
            step.fate = Fate.FAILED
            step.detail += f"; {newer} came meanwhile, is newer, and can't be written behind it: {answer.why}"
        else:
            place = RecordPosition(*newer.at, answer)
            self._later.written(step.letter, place, newer)
            step.detail += f", and {newer}, which came meanwhile, {place}"


def hidden(at: Partition) -> str:
    """Why it is not known whether a letter of that partition is superseded."""
    return f"an open transaction on {at} may hold something newer: run it again when that has ended"


def _at(step: Step) -> Partition:
    assert step.letter.origin is not None  # noqa: S101 - for the type checker: the plan has let it pass
    return step.letter.origin.at
