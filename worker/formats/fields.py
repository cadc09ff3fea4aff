"""The rules of the fields that both formats share."""

from typing import Annotated, Any, Final

from pydantic_core import core_schema

from worker.formats import number
from worker.formats.rule import ANY, INTEGER, NOT_EMPTY, NULL, NUMBER, STRING, Rule, any_of, matching, nested

MAX_DEPTH: Final = 32

_NUMBER_STRING: Final = core_schema.chain_schema(
    [matching(number.PATTERN), core_schema.float_schema(allow_inf_nan=False)]
)
# From 2**53 on every float is an integer, and near 2**63 pydantic's integers begin to refuse floats.
_WHOLE: Final = any_of(core_schema.int_schema(ge=0), core_schema.float_schema(ge=2.0**53))

EntityId = Annotated[str | int, Rule("a string or an integer, not empty", any_of(NOT_EMPTY, INTEGER))]
Currency = Annotated[
    str, Rule("three letters A-Z", matching("^[A-Z]{3}$"), "may be absent where the worker has a default currency")
]
NotEmpty = Annotated[str, Rule("a string, not empty", NOT_EMPTY)]
IsLoggedIn = Annotated[
    int | str,
    Rule(
        '0, 1, true, false, "0" or "1"',
        any_of(
            core_schema.int_schema(strict=True, ge=0, le=1),
            core_schema.bool_schema(strict=True),
            core_schema.literal_schema(["0", "1"]),
        ),
        json_schema={"enum": [0, 1, True, False, "0", "1"]},
    ),
]
CallId = Annotated[
    int | str | None,
    Rule(
        "an integer, or an integer as a string",
        any_of(INTEGER, NULL, matching("^(-?[0-9]+)?$")),
        'null and "" mean absent',
    ),
]
Agent = Annotated[str | None, Rule("a string", any_of(STRING, NULL), 'null and "" mean absent')]
OccurredAt = Annotated[
    Any, Rule("ISO 8601 or UNIX seconds", ANY, "where it is neither, the record's timestamp counts", {})
]
ProductId = Annotated[str | float, Rule("a string or a number", any_of(STRING, NUMBER))]
Quantity = Annotated[
    float | str,
    Rule(
        "an integer of 0 or more",
        any_of(
            core_schema.int_schema(strict=True, ge=0),
            core_schema.chain_schema([any_of(NUMBER, _NUMBER_STRING), _WHOLE]),
        ),
        json_schema={"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": number.PATTERN}]},
    ),
]
Price = Annotated[float | str, Rule("a finite number", any_of(NUMBER, _NUMBER_STRING))]
Details = Annotated[
    str | list[Any] | dict[str, Any] | None,
    Rule(
        f"a string, or an array or object at most {MAX_DEPTH} deep",
        any_of(STRING, NULL, nested(MAX_DEPTH)),
        'null, "", [] and {} mean absent',
        {"type": ["string", "array", "object", "null"]},
    ),
]
