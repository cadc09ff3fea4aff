"""The events' JSON Schema, out of the models that check them."""

from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import CoreSchema


class _Untitled(GenerateJsonSchema):
    """Without pydantic's titles, which repeat the fields' names."""

    def field_title_should_be_set(self, schema: CoreSchema) -> bool:
        del schema
        return False


def of(**models: TypeAdapter[Any]) -> dict[str, Any]:
    """One schema for an event of any of these models."""
    inputs: list[tuple[str, Literal["validation"], TypeAdapter[Any]]] = [
        (name, "validation", model) for name, model in models.items()
    ]
    schemas, definitions = TypeAdapter.json_schemas(inputs, schema_generator=_Untitled)
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "title": "Events on the topic",
        "anyOf": [schemas[name, "validation"] for name in models],
        **definitions,
    }
