"""llmgw and LiteLLM's proxy, each in front of the same provider in every dialect."""

from __future__ import annotations

from dataclasses import replace

from bench.contender import Contender, Pace, Site
from bench.contenders import litellm, llmgw
from bench.dialects.workload import PROVIDERS, Client

OURS, THEIRS = "llmgw", "litellm"
_POLICY = """
providers:
  openai: {dialect: openai, base_url: "MOCK/v1", key: sk-mock, allow_private: true}
  anthropic: {dialect: anthropic, base_url: "MOCK", key: sk-mock, allow_private: true}
  responses: {dialect: responses, base_url: "MOCK/v1", key: sk-mock, allow_private: true}
  gemini: {dialect: gemini, base_url: "MOCK/v1beta", key: sk-mock, allow_private: true}
  bedrock:
    dialect: bedrock
    base_url: "MOCK"
    region: us-east-1
    aws: {access_key_id: AKIDEXAMPLE, secret_access_key: wJalrXUtnFEMI}
    allow_private: true
  litellm: {dialect: litellm, litellm: hosted_vllm, base_url: "MOCK/v1", key: sk-mock, allow_private: true}
models:
"""
_THEIRS = {
    "openai": 'model: openai/bench, api_base: "MOCK/v1", api_key: sk-mock',
    "anthropic": 'model: anthropic/bench, api_base: "MOCK", api_key: sk-mock',
    "responses": 'model: openai/responses/bench, api_base: "MOCK/v1", api_key: sk-mock',
    "gemini": 'model: gemini/bench, api_base: "MOCK/v1beta", api_key: sk-mock',
    "bedrock": 'model: bedrock/converse/bench, aws_bedrock_runtime_endpoint: "MOCK", aws_region_name: us-east-1, '
    "aws_access_key_id: AKIDEXAMPLE, aws_secret_access_key: wJalrXUtnFEMI",
    "litellm": 'model: hosted_vllm/bench, api_base: "MOCK/v1", api_key: sk-mock',
    "relayed responses": 'model: openai/bench, api_base: "MOCK/v1", api_key: sk-mock',
}
"""LiteLLM's words for each provider. It takes OpenAI's own for one that speaks responses wherever a client does."""


def prepare_ours(site: Site) -> Contender:
    """Like llmgw in the other benchmark: authentication, policy, record, prices."""
    models = "".join(f"  {name}: {{use: {name}/bench, price: {{in: 2.5, out: 10}}}}\n" for name in PROVIDERS)
    policies = site.scratch / "policies"
    prepared = llmgw.prepare_with(site, workers=1)
    mock = f"http://127.0.0.1:{site.mock_port}"
    (policies / "bench.yaml").write_text("version: 1" + _POLICY.replace("MOCK", mock) + models)
    return replace(prepared, pace=Pace(connections=16, streams=16))


def prepare_theirs(site: Site) -> Contender:
    """Raises NotAvailable."""
    prepared = litellm.prepare(site)
    mock = f"http://127.0.0.1:{site.mock_port}"
    models = "".join(
        f'  - {{model_name: "{name}", litellm_params: {{{written.replace("MOCK", mock)}}}}}\n'
        for name, written in _THEIRS.items()
    )
    settings = f"general_settings: {{master_key: {litellm.MASTER_KEY}}}\n"
    (site.scratch / "litellm.yaml").write_text(f"model_list:\n{models}{settings}")
    return replace(prepared, pace=Pace(connections=4, streams=4))


def model_of(contender: str, client: Client, provider: str) -> str:
    """What a contender calls the provider's model, for this client."""
    if contender == THEIRS and client.name == "responses":
        return {"openai": "litellm", "responses": "relayed responses"}.get(provider, provider)
    return provider
