"""The gateway of this repository, with authentication by virtual key, policy, record and metering on."""

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.contender import Contender, NotAvailable, Site, free_port
from bench.workload import MODELS

GATEWAY = (sys.executable, "-m", "gateway")
"""The checkout that the bench runs in, and not the one that is installed: for Python looks in the working folder first."""
VIRTUAL_KEY = re.compile(r"sk-llmgw-\S+")
KEY_TIMEOUT = 60.0


def prepare(site: Site) -> Contender:
    return prepare_with(site, workers=1)


def prepare_with(site: Site, *, workers: int, more_policy: str = "") -> Contender:
    """A data folder of its own with one virtual key in it, and a policy that names the mock's models, and says `more_policy`."""
    policies, data, port = site.scratch / "policies", site.scratch / "data", free_port()
    policies.mkdir(parents=True)
    (policies / "bench.yaml").write_text(policy(site.mock_url) + more_policy)
    serve = [*GATEWAY, "serve", "--policies", str(policies), "--data", str(data), "--host", "127.0.0.1"]
    return Contender(
        name="llmgw",
        version=_version(),
        port=port,
        command=(*serve, "--port", str(port), "--admin-port", str(free_port()), "--workers", str(workers)),
        headers=(("Authorization", f"Bearer {create_key(data)}"),),
    )


def policy(mock_url: str) -> str:
    """The policy file: every mock model, each with a price, so that each call is metered in money."""
    models = "\n".join(f"  {name}: {{use: mock/{name}, price: {{in: 2.5, out: 10}}}}" for name in MODELS)
    provider = f'{{dialect: openai, base_url: "{mock_url}", key: "sk-mock", allow_private: true}}'
    return f"version: 1\nproviders:\n  mock: {provider}\nmodels:\n{models}\n"


def create_key(data: Path, *options: str) -> str:
    """A fresh virtual key. `options` are more options of `llmgw keys create`."""
    command = [*GATEWAY, "keys", "create", "--data", str(data), "--name", "bench", *options]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=KEY_TIMEOUT)
    except subprocess.TimeoutExpired:
        raise NotAvailable("`llmgw keys create` did not end") from None
    found = VIRTUAL_KEY.search(done.stdout)
    if done.returncode or not found:
        raise NotAvailable(f"`llmgw keys create` printed no key: {(done.stderr or done.stdout).strip()[-300:]}")
    return found.group()


def _version() -> str:
    root = Path(__file__).parents[2]
    commit = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "--short", "HEAD"], check=False, capture_output=True, text=True
    )
    try:
        release = version("llmgw")
    except PackageNotFoundError:
        release = "not packaged"
    return f"{release} ({commit.stdout.strip() or 'no commit'})"
