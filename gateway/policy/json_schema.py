"""The JSON Schema of policy files, which editors use for completion: docs/policy.schema.json is this, written out."""

from __future__ import annotations

import json

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from gateway.policy.schema import Policy


def json_schema() -> str:
    """JSON text, indented, with a line break at its end. No section is required, as a policy may have several files."""
    return json.dumps(Policy.model_json_schema(by_alias=True, schema_generator=_AsWritten), indent=2) + "\n"


class _AsWritten(GenerateJsonSchema):
    """Leaves out `null`, which a policy never writes, and titles that only repeat the key."""

    def generate(self, schema: core_schema.CoreSchema, mode: str = "validation") -> JsonSchemaValue:
        return {"$schema": self.schema_dialect, **super().generate(schema, "validation")}

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        described = super().default_schema(schema)
        if described.get("default", 0) is None:
            del described["default"]
        return described

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


if __name__ == "__main__":
    print(json_schema(), end="")
