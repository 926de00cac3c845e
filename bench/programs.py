"""The two C programs of the benchmark, compiled when their sources are newer."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Programs:
    mock_provider: Path
    load: Path


def compile_programs(build: Path) -> Programs:
    """Raises SystemExit with what to do when there is no compiler or the source does not compile."""
    build.mkdir(parents=True, exist_ok=True)
    return Programs(mock_provider=_compile("mock_provider", build), load=_compile("load", build))


def _compile(name: str, build: Path) -> Path:
    program, source = build / name, SOURCES / f"{name}.c"
    newest = max(source.stat().st_mtime, (SOURCES / "http1.h").stat().st_mtime)
    if program.exists() and program.stat().st_mtime > newest:
        return program
    if not shutil.which("cc"):
        raise SystemExit("bench: no C compiler; install one (Debian: apt-get install gcc libc6-dev)")
    subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-o", str(program), str(source)], check=True)
    return program
