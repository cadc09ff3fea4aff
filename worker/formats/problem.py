"""The first thing that is wrong with an event, in words that hold nothing of the record."""

from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

NO_PRODUCT: Final = "at least one product"
# What pydantic calls the failures that no rule words: they are of arrays and objects, whose parts have rules.
_EXPECTED: Final = {"list_type": "an array", "dict_type": "an object", "too_short": NO_PRODUCT}


def first(model: TypeAdapter[Any], event: Any, error: ValidationError) -> tuple[str, str]:
    """Path and expectation of the first problem, in the order of the model's fields. May change the event."""
    problem = error.errors(include_url=False, include_context=False)[0]
    location = problem["loc"]
    if problem["type"] == "missing":
        # An absent field reads like a null one, whose error names what belongs there.
        problem["input"][location[-1]] = None
        try:
            model.validate_python(event)
        except ValidationError as again:
            return first(model, event, again)
    return _path(location), _EXPECTED.get(problem["type"], problem["msg"])


def _path(location: tuple[str | int, ...]) -> str:
    steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in location]
    return "".join(steps).removeprefix(".")
