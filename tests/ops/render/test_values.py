"""How a file is split into the values of records."""

import json
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.events import cart, checked_out, order, product
from worker.ops.render.values import values

BOM = b"\xef\xbb\xbf"
FIRST, SECOND = cart(id="1"), order(id="2", products=[product(details={"a": ["]", '"', "{"]})])


def split(file: bytes) -> list[tuple[str, Any]]:
    """Where each value stands, and what it is as JSON."""
    return [(source.at, json.loads((source.value or b"").removeprefix(BOM))) for source in values(BytesIO(file))]


def parts(file: bytes) -> list[tuple[str, bytes | None]]:
    return [(source.at, source.value) for source in values(BytesIO(file))]


def line(event: Any) -> bytes:
    return json.dumps(event).encode() + b"\n"


def pretty(event: Any, **more: Any) -> bytes:
    return json.dumps(event, indent=2, **more).encode() + b"\n"


def test_each_line_is_a_value_numbered_as_an_editor_does() -> None:
    assert split(line(FIRST) + b"\n  \n" + line(SECOND)) == [("line 1", FIRST), ("line 4", SECOND)]
    assert split(line(FIRST).replace(b"\n", b"\r\n") + line(SECOND).rstrip()) == [("line 1", FIRST), ("line 2", SECOND)]
    assert parts(b"") == parts(b"\n \n") == []


def test_an_object_may_have_several_lines() -> None:
    file = pretty(FIRST) + pretty(SECOND, separators=(",", " : "))
    (first, one), (second, two) = split(file)
    assert (one, two) == (FIRST, SECOND)
    assert first == f"lines 1-{len(pretty(FIRST).splitlines())}"
    assert second.startswith(f"lines {len(pretty(FIRST).splitlines()) + 1}-")


def test_lines_and_objects_of_several_lines_may_be_mixed() -> None:
    file = line(FIRST) + pretty(SECOND) + line(FIRST) + b"\n" + pretty(SECOND)
    assert [event for _, event in split(file)] == [FIRST, SECOND, FIRST, SECOND]


@pytest.mark.parametrize("write", [line, pretty, lambda events: json.dumps(events).replace("}, {", "},\n{").encode()])
def test_the_elements_of_an_array_are_values(write: Any) -> None:
    assert split(write([FIRST, SECOND])) == [("element 1", FIRST), ("element 2", SECOND)]
    assert split(BOM + write([FIRST, SECOND])) == [("element 1", FIRST), ("element 2", SECOND)]
    assert split(b"\n" * 0 + b"[]") == []


def test_the_elements_keep_their_own_bytes() -> None:
    assert parts(b'[{"id": 900.0, "a": 1e5}, null , "x"]') == [
        ("element 1", b'{"id": 900.0, "a": 1e5}'),
        ("element 2", b"null"),
        ("element 3", b'"x"'),
    ]


def test_a_byte_order_mark_is_the_first_values() -> None:
    ((at, value), (_, second)) = parts(BOM + line(FIRST) + line(SECOND))
    assert (at, value) == ("line 1", BOM + line(FIRST).rstrip())
    assert second == line(SECOND).rstrip()


@pytest.mark.parametrize(
    "broken",
    [b"{\n", b'{"a": [\n', b'{"a": "\n', b"}\n", b"]]\n", b"x\n", b"\xff\xfe\n", b"\0{\n", b"[1, 2\n", b"[{\n", b'"\n'],
    ids=repr,
)
def test_a_broken_line_hides_no_line_after_it(broken: bytes) -> None:
    found = parts(broken + line(FIRST) + line(SECOND))
    assert found == [("line 1", broken.rstrip()), *parts(b"\n" + line(FIRST) + line(SECOND))]
    found = parts(line(FIRST) + broken + line(SECOND) + line(FIRST))
    assert [value for _, value in found] == [part.rstrip() for part in (line(FIRST), broken, line(SECOND), line(FIRST))]


def test_arrays_may_be_lines_too() -> None:
    assert split(line([FIRST]) + line(SECOND)) == [("line 1", [FIRST]), ("line 2", SECOND)]


@given(st.lists(st.sampled_from([FIRST, SECOND, checked_out(), {}, {"a": {}}]), max_size=5), st.data())
def test_whatever_the_layout_the_values_are_the_same(events: list[Any], data: st.DataObject) -> None:
    layouts = [line, pretty, lambda event: json.dumps(event, indent="\t").encode() + b"\r\n"]
    file = b"".join(data.draw(st.sampled_from(layouts))(event) for event in events)
    assert [event for _, event in split(file)] == events
