from hypothesis import given
from hypothesis import strategies as st

from worker.ops.dlq.letter import Coordinates
from worker.ops.dlq.memory import LONGEST_NOTE, decode_note, encode_note


@given(st.integers(0, 2**40), st.sets(st.integers(1, 500)))
def test_what_is_noted_is_what_is_read(low: int, above: set[int]) -> None:
    done = {low + distance for distance in above}

    assert set(decode_note(low, encode_note(low, done))) == done


@given(st.text(max_size=50))
def test_a_note_that_is_not_ours_never_raises(note: str) -> None:
    assert all(offset >= 5 for offset in decode_note(5, note if "+" not in note else ""))


def test_many_letters_in_a_row_take_one_short_word() -> None:
    assert encode_note(10, range(12, 100_000)) == "1:2+99988"


def test_a_thousand_gaps_can_be_remembered() -> None:
    assert len(encode_note(0, range(1, 2000, 2))) <= LONGEST_NOTE


@given(st.from_regex(r"[a-zA-Z0-9._-]{1,249}", fullmatch=True), st.integers(0, 10**6), st.integers(0, 2**40))
def test_coordinates_are_read_as_they_are_written(topic: str, partition: int, offset: int) -> None:
    place = Coordinates(topic, partition, offset)

    assert Coordinates.parse(str(place)) == place
