"""How a field's rule becomes a pydantic type.

The checks run in compiled code, and a failure is one error that says what belongs there: pydantic would otherwise
report every branch of a union, and quote the record.
"""

from dataclasses import dataclass
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

ANY: Final = core_schema.any_schema()
NULL: Final = core_schema.none_schema()
STRING: Final = core_schema.str_schema(strict=True)
NOT_EMPTY: Final = core_schema.str_schema(strict=True, min_length=1)
INTEGER: Final = core_schema.int_schema(strict=True)
NUMBER: Final = core_schema.float_schema(strict=True, allow_inf_nan=False)

_CONTAINERS: Final = (dict, list)  # a tuple: `dict | list` would be built anew for every value


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """`expected` names what belongs in the field, `schema` checks it, `json_schema` says it where `schema` can't."""

    expected: str
    schema: CoreSchema
    note: str = ""
    json_schema: dict[str, Any] | None = None

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.custom_error_schema(
            self.schema, custom_error_type="unexpected", custom_error_message=self.expected
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        described = self.json_schema if self.json_schema is not None else handler(schema)
        return {**described, "description": f"{self.expected}; {self.note}" if self.note else self.expected}


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """Marks a list that may come as an object, whose values count; if it is optional, as null or "" too."""

    optional: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.of, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        array = handler(schema)
        choices = [array, {"type": "object", "additionalProperties": array["items"]}]
        return {"anyOf": [*choices, {"enum": [None, ""]}] if self.optional else choices}

    def of(self, value: Any) -> Any:
        """The list; anything else that a list can't come as is returned as it is, for the list's own check."""
        if isinstance(value, dict):
            return list(value.values())
        return [] if self.optional and value in (None, "") else value


def any_of(*choices: CoreSchema) -> CoreSchema:
    """The first choice that fits. The usual one goes first."""
    return core_schema.union_schema(list(choices), mode="left_to_right")


def matching(pattern: str) -> CoreSchema:
    """A string of this pattern. In it `$` is the very end, as in JSON Schema and unlike in Python."""
    return core_schema.str_schema(strict=True, pattern=pattern)


_SCALAR: Final = any_of(STRING, NUMBER, core_schema.bool_schema(strict=True), NULL)


def nested(deepest: int) -> CoreSchema:
    """An array or object of at most `deepest` levels, itself being the first."""

    def check(value: Any) -> Any:
        if not _nests_within(deepest, value):
            raise ValueError
        return value

    # Flat ones are the usual case, which compiled code tells without a call into Python.
    return any_of(
        core_schema.dict_schema(values_schema=_SCALAR, strict=True, fail_fast=True),
        core_schema.list_schema(_SCALAR, strict=True, fail_fast=True),
        core_schema.no_info_after_validator_function(
            check, any_of(core_schema.dict_schema(strict=True), core_schema.list_schema(strict=True))
        ),
    )


def scalar_or_nested(deepest: int) -> CoreSchema:
    """Any value whose arrays and objects, if it has some, nest at most `deepest` levels."""
    return any_of(_SCALAR, nested(deepest))


def _nests_within(deepest: int, value: Any) -> bool:
    # Level by level: a recursion over a wide value of megabytes would hold up the thread that reads the topic.
    level = [value]
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
