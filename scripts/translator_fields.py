"""Prints gateway/ingress/translator_fields.py, from the signature and the parameter list of the installed litellm."""

from __future__ import annotations

import inspect
import os
import textwrap

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from litellm.types.utils import all_litellm_params

# Of litellm's own signature, what steers litellm instead of the model.
STEERING = {"api_key", "api_version", "base_url", "deployment_id", "extra_headers", "timeout", "model_list", "kwargs"}
# What litellm takes out of its keyword arguments without naming it anywhere.
ADDED = {
    *("api_base", "litellm_params", "extra_body", "extra_query", "default_headers", "http_client", "organization"),
    *("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_region_name", "aws_profile_name"),
    *(
        "aws_role_name",
        "aws_session_name",
        "aws_web_identity_token",
        "aws_sts_endpoint",
        "aws_bedrock_runtime_endpoint",
    ),
    *("vertex_credentials", "vertex_project", "vertex_location", "azure_ad_token", "mock_tool_calls", "mock_delay"),
    *("drop_params", "additional_drop_params", "watsonx_token", "hf_token", "project_id_override"),
}
OPENAI = {"metadata"}

HEAD = '''"""Fields that steer the litellm SDK (row P8): refused in a client's body, for whichever provider.

Written by scripts/translator_fields.py from the installed litellm; a test keeps the two in step.
"""

from __future__ import annotations

TRANSLATOR_FIELDS = frozenset(
    """
'''


def fields() -> list[str]:
    signature = set(inspect.signature(litellm.completion).parameters)
    return sorted((set(all_litellm_params) | (STEERING & signature) | STEERING | ADDED) - OPENAI)


def source() -> str:
    words = textwrap.fill(" ".join(fields()), 112, break_on_hyphens=False)
    return HEAD + textwrap.indent(words, "    ") + '\n    """.split()\n)\n'


if __name__ == "__main__":
    print(source(), end="")
