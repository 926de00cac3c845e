"""The fields that steer the translator are those of the litellm that is installed (row P8)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from gateway.ingress.translator_fields import TRANSLATOR_FIELDS

ROOT = Path(__file__).parent.parent.parent


def test_the_list_is_what_the_script_writes() -> None:
    script = ROOT / "scripts" / "translator_fields.py"
    done = subprocess.run([sys.executable, "-W", "ignore", script], capture_output=True, text=True, check=True)

    assert (ROOT / "gateway" / "ingress" / "translator_fields.py").read_text() == done.stdout


def test_what_leads_a_call_elsewhere_is_on_it_and_what_clients_need_is_not() -> None:
    steering = "api_base base_url api_key extra_headers custom_llm_provider input_cost_per_token mock_response timeout fallbacks"

    assert set(steering.split()) <= TRANSLATOR_FIELDS
    assert not {"model", "messages", "stream", "temperature", "tools", "metadata", "user", "seed"} & TRANSLATOR_FIELDS
