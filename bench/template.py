"""What a template costs a call: `python -m bench.template` prints microseconds of CPU time to render, and of the whole stage."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import orjson

from gateway.core.call import Call, Operation
from gateway.core.tenant import Tenant
from gateway.policy.compile import compile_policy
from gateway.template.prompts import Prompts, Talk, Templates

_POLICY = "version: 1\nproviders: {demo: {dialect: demo}}\nmodels: {demo: {use: demo/demo}}\n"
_LINE = "You answer questions about {{ product }} for {{ company }}. Be brief, name your source, and never guess at numbers. "
_TEMPLATE = f"""
variables: {{product: {{}}, company: {{}}, facts: {{type: list}}, question: {{}}}}
versions:
  1:
    messages:
      - system: |
          {_LINE * 8}
          {{% if facts %}}Known:
          {{% for fact in facts %}}
          - {{{{ fact }}}}
          {{% endfor %}}{{% endif %}}
      - user: "{{{{ question }}}}"
"""
_VARIABLES = {
    "product": "Widget",
    "company": "Acme",
    "facts": ["It is made of oak.", "It weighs 2 kg.", "It floats."],
    "question": "What does it weigh?",
}
_ROUNDS, _CALLS = 9, 2000


class _Nothing:
    async def find(self, key: str) -> str | None:
        return None

    def keep(self, key: str, value: str) -> None: ...


def main() -> None:
    templates = _templates()
    version = templates.named["bench"].versions[1]
    system = version.messages[0]
    size = len(system.source)
    plain, asking = _call(None), _call("bench")
    prompts = Prompts(lambda call, tenant: Talk("t", is_new=True), _Nothing())
    tenant = Tenant("acme", None, "k", "k")
    rows = {
        f"render a text of {size} bytes": _microseconds(lambda: templates.engine.render(system.compiled, _VARIABLES)),
        "a call with that template, body and all": _stage(prompts, asking, tenant, templates),
        "a call without a template": _stage(prompts, plain, tenant, templates),
    }
    for name, took in rows.items():
        print(f"{name:42} {took:8.2f} µs")


def _templates() -> Templates:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "templates").mkdir()
        (folder / "policy.yaml").write_text(_POLICY)
        (folder / "templates" / "bench.yaml").write_text(_TEMPLATE)
        return compile_policy(folder, {}, lambda provider, model: None).templates


def _call(template: str | None) -> Call:
    fields = {"model": "demo", "llmgw": {"variables": _VARIABLES}, "temperature": 0.2}
    if template is None:
        fields = {"model": "demo", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.2}
    return Call("r", Operation.CHAT, 0.0, "demo", orjson.dumps(fields), fields, template=template)


def _stage(prompts: Prompts, call: Call, tenant: Tenant, templates: Templates) -> float:
    async def all_of_them() -> None:
        for _ in range(_CALLS):
            await prompts.apply(call, tenant, templates)

    return _microseconds(lambda: asyncio.run(all_of_them()), of=_CALLS, rounds=3)


def _microseconds(work: Callable[[], object], *, of: int = 1, rounds: int = _ROUNDS) -> float:
    """The median of several rounds."""
    took = []
    for _ in range(rounds):
        began = time.thread_time()
        for _ in range(_CALLS // of):
            work()
        took.append((time.thread_time() - began) / _CALLS * 1e6)
    return statistics.median(took)


if __name__ == "__main__":
    main()
