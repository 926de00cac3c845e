"""A virtual environment of its own for a contender that comes from PyPI."""

import subprocess
import sys
from pathlib import Path

from bench.contender import NotAvailable


def create_environment(folder: Path) -> Path:
    """Makes the environment unless it is there, and returns its Python."""
    python = folder / "bin" / "python"
    if python.exists():
        return python
    done = subprocess.run([sys.executable, "-m", "venv", str(folder)], check=False, capture_output=True, text=True)
    if done.returncode:
        raise NotAvailable(f"python -m venv: {(done.stderr or done.stdout).strip()[-300:]}")
    return python
