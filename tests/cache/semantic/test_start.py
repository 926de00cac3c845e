"""The semantic cache is optional: what decides whether to start it needs none of its packages."""

from __future__ import annotations

import subprocess
import sys


def test_nothing_of_the_extra_is_imported_until_a_policy_asks() -> None:
    code = """
import sys
from gateway.cache.semantic import asked, outside, start
print([name for name in ("numpy", "onnx", "onnxruntime", "tokenizers") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
