"""How deep details nest. Level by level: a recursion over megabytes would hold up the thread that reads the topic."""

from typing import Any, Final

#: The levels that `details` may have, itself being the first (docs/events.md).
DEEPEST: Final = 32
_CONTAINERS: Final = (dict, list)  # a tuple: `dict | list` would be built anew for every value


def is_nested(value: dict[str, Any] | list[Any]) -> bool:
    """Whether an array or object holds another."""
    children = value.values() if isinstance(value, dict) else value
    return any(isinstance(child, _CONTAINERS) for child in children)


def is_within(deepest: int, value: Any) -> bool:
    """Whether a value nests at most so many levels; a scalar has none."""
    level = [value] if isinstance(value, _CONTAINERS) else []
    for _ in range(deepest):
        if not level:
            return True
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, _CONTAINERS)
        ]
    return not level
