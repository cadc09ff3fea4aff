"""A test is called the same in every process: xdist refuses to start where two differ by a second or a seed."""

import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

import pytest

#: Parts of an id that change from run to run: gzip's header, which is followed by the time, and an object's address.
_CHANGING = re.compile(r"\\x1f\\x8b|\bat 0x[0-9a-f]{6,}")


def changes(name: str, values: Iterable[object]) -> bool:
    """Whether a test of these parameters is called otherwise in another process. A set of texts has no order."""
    sets = [value for value in values if isinstance(value, AbstractSet) and len(value) > 1]
    return bool(_CHANGING.search(name)) or any(str(value) in name for value in sets)


def test_every_id_is_the_same_in_every_process(request: pytest.FixtureRequest) -> None:
    items = [(item.nodeid, getattr(item, "callspec", None)) for item in request.session.items]
    assert [name for name, given in items if changes(name, given.params.values() if given else ())] == []


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (r"test_a[\x1f\x8b\x08\x00\x04]", []),
        ("test_a[<object object at 0x7f1b2c3d4e50>]", []),
        (f"test_a[{ {'cart', 'order'} }]", [{"cart", "order"}]),
    ],
    ids=["gzip", "address", "set"],
)
def test_one_that_changes_is_seen(name: str, values: list[object]) -> None:
    assert changes(name, values)
    assert not changes("test_a[cart-order]", values)
