"""LiteLLM's proxy from PyPI: one worker, no database, a master key, and its own advice for production."""

import subprocess
from pathlib import Path

from bench.contender import Contender, NotAvailable, Pace, Site, free_port
from bench.contenders.environment import create_environment
from bench.workload import MODELS

VERSION = "1.109.1"
MASTER_KEY = "sk-bench"
# Exact pins that not every index has; certificates, migrations and enterprise features play no part here.
UNPINNED = ("certifi", "litellm-proxy-extras", "litellm-enterprise")
ENVIRONMENT = {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}


def prepare(site: Site) -> Contender:
    program, port = _install(site.build / f"litellm-{VERSION}"), free_port()
    configuration = site.scratch / "litellm.yaml"
    configuration.write_text(model_list(site.mock_url))
    options = ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1", "--telemetry", "False"]
    return Contender(
        name="litellm",
        version=VERSION,
        port=port,
        command=(str(program), "--config", str(configuration), *options),
        environment=ENVIRONMENT,
        headers=(("Authorization", f"Bearer {MASTER_KEY}"),),
        pace=Pace(calls_per_second=10, streams=8, streams_per_second=2),
        patience=180,
    )


def model_list(mock_url: str) -> str:
    """The proxy's configuration: every mock model as an OpenAI deployment."""
    settings = f'api_base: "{mock_url}", api_key: sk-mock'
    models = "\n".join(
        f"  - {{model_name: {name}, litellm_params: {{model: openai/{name}, {settings}}}}}" for name in MODELS
    )
    return f"model_list:\n{models}\ngeneral_settings: {{master_key: {MASTER_KEY}}}\n"


def _install(folder: Path) -> Path:
    program, python = folder / "bin" / "litellm", create_environment(folder)
    if program.exists():
        return program
    overrides = folder / "unpinned.txt"
    overrides.write_text("\n".join(UNPINNED) + "\n")
    resolve = ["-m", "uv", "pip", "install", "--quiet", "--python", str(python), "--overrides", str(overrides)]
    for arguments in (["-m", "pip", "install", "--quiet", "uv"], [*resolve, f"litellm[proxy]=={VERSION}"]):
        done = subprocess.run([str(python), *arguments], check=False, capture_output=True, text=True)
        if done.returncode:
            raise NotAvailable(f"litellm[proxy]=={VERSION}: {done.stderr.strip()[-300:]}")
    return program
