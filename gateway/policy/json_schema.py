"""The JSON Schemas of policy files and of templates, which editors use for completion: docs/policy.schema.json and
docs/template.schema.json are these, written out.

`python -m gateway.policy.json_schema` prints the first, with `template` as its argument the second.
"""

from __future__ import annotations

import json
import sys

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from gateway.policy.schema import Policy
from gateway.policy.schema_template import TemplateText


def json_schema(model: type[BaseModel] = Policy) -> str:
    """JSON text, indented, with a line break at its end. No section is required, as a policy may have several files."""
    return json.dumps(model.model_json_schema(by_alias=True, schema_generator=_AsWritten), indent=2) + "\n"


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
    print(json_schema(TemplateText if sys.argv[1:] == ["template"] else Policy), end="")
