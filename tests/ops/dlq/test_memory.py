from random import Random
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.adapters.kafka.admin import Admin, Noted
from worker.core.state import Partition
from worker.ops.dlq.letter import RecordPosition
from worker.ops.dlq.memory import LONGEST_NOTE, Memory, decode_note, encode_note, fitting_note

DLQ = Partition("dlq", 0)


@given(st.integers(0, 2**40), st.sets(st.integers(1, 500)))
def test_what_is_noted_is_what_is_read(low: int, above: set[int]) -> None:
    done = {low + distance for distance in above}

    assert set(decode_note(low, encode_note(low, done))) == done


@given(st.one_of(st.text(max_size=50), st.from_regex(r"2:[!-~]{0,50}", fullmatch=True)))
def test_a_note_that_is_not_ours_never_raises(note: str) -> None:
    assert all(offset >= 5 for offset in decode_note(5, note if note[:2] == "2:" or "+" not in note else ""))


def test_many_letters_in_a_row_take_one_short_word() -> None:
    assert encode_note(10, range(12, 100_000)) == "1:2+99988"


@pytest.mark.parametrize("letters", [2_000, 100_000])
def test_every_second_letter_can_be_remembered(letters: int) -> None:
    done = set(range(1, letters, 2))

    note, left_out = fitting_note(0, done)

    assert (len(note) <= LONGEST_NOTE, left_out) == (True, 0)
    assert set(decode_note(0, note)) == done


@pytest.mark.parametrize("letters", [10_000, 20_000, 40_000])
def test_what_does_not_fit_is_of_the_lowest_letters(letters: int) -> None:
    low, random = 2**40, Random(letters)
    done = {low + 1 + number for number in range(letters) if random.random() < 0.5}

    note, left_out = fitting_note(low, done)

    assert len(note) <= LONGEST_NOTE
    assert set(decode_note(low, note)) == set(sorted(done)[left_out:])
    assert left_out == 0 or letters > 20_000


class _Group:
    """What memory needs of `Admin`."""

    def __init__(self) -> None:
        self.offsets: dict[Partition, Noted] = {}

    def noted(self, _: str) -> dict[Partition, Noted]:
        return dict(self.offsets)

    def commit(self, _: str, offsets: dict[Partition, Noted]) -> None:
        self.offsets |= offsets


def test_more_gaps_than_a_note_holds_keep_no_later_letter_from_being_remembered() -> None:
    """Superseded letters make gaps that nobody can close."""
    group, letters, random = _Group(), range(60_000), Random(1)
    done = sorted({offset for offset in letters if random.random() < 0.5} - {0})

    memory = Memory(cast(Admin, group), "group")
    for batch in (done[:-1], done[-1:]):
        for offset in batch:
            memory.add(RecordPosition("dlq", 0, offset))
        memory.save({DLQ: letters}, {DLQ: 60_000})
    again = Memory(cast(Admin, group), "group")

    remembered = [offset for offset in letters if RecordPosition("dlq", 0, offset) in again]
    assert memory.saved
    assert 0 < memory.forgotten < len(done)
    assert remembered == done[memory.forgotten :]
    assert again.starts() == {DLQ: 0}


@given(st.from_regex(r"[a-zA-Z0-9._-]{1,249}", fullmatch=True), st.integers(0, 10**6), st.integers(0, 2**40))
def test_coordinates_are_read_as_they_are_written(topic: str, partition: int, offset: int) -> None:
    place = RecordPosition(topic, partition, offset)

    assert RecordPosition.parse(str(place)) == place
