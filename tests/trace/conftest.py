from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trace.stored import File


@pytest.fixture
def file(tmp_path: Path) -> Iterator[File]:
    file = File(tmp_path)
    yield file
    file.close()
