"""Tries policy files out before they are put into force."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

from gateway.core.errors import InvalidRequest
from gateway.policy.mistakes import Mistake, PolicyError
from gateway.policy.snapshot import Snapshot

_MOST_FILES = 100
_NAME = re.compile(r"[\w-][\w .-]{0,99}\.ya?ml", re.ASCII)


def try_out(files: Mapping[str, str], compile_folder: Callable[[Path], Snapshot]) -> dict[str, object]:
    """What compiling these files (name, text) as one policy gives, ready for JSON. It blocks. Raises InvalidRequest."""
    try:
        snapshot = compiled(files, compile_folder)
    except PolicyError as error:
        return {"ok": False, "version": None, "notes": [], "mistakes": rows(error.mistakes)}
    return {"ok": True, "version": snapshot.version, "notes": snapshot.notes, "mistakes": []}


def compiled(files: Mapping[str, str], compile_folder: Callable[[Path], Snapshot]) -> Snapshot:
    """The policy of these files (name, text). It blocks. Raises InvalidRequest, PolicyError."""
    if not 0 < len(files) <= _MOST_FILES:
        raise InvalidRequest(f"files must hold 1 to {_MOST_FILES} files", param="files")
    if not all(_NAME.fullmatch(name) for name in files):
        raise InvalidRequest("files must be named like policy.yaml, without a folder", param="files")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in files.items():
            (folder / file).write_text(text, encoding="utf-8")
        try:
            snapshot = compile_folder(folder)
        except PolicyError as error:
            raise PolicyError(_inside(mistake, f"{folder}/") for mistake in error.mistakes) from error
    promises = [replace(each, place=replace(each.place, file=Path(each.place.file).name)) for each in snapshot.promises]
    return replace(snapshot, promises=tuple(promises))


def rows(mistakes: Iterable[Mistake]) -> list[dict[str, object]]:
    """The mistakes, ready for JSON."""
    return [asdict(mistake) for mistake in mistakes]


def _inside(mistake: Mistake, folder: str) -> Mistake:
    """The mistake with the names of files as they were given."""
    return replace(mistake, file=mistake.file.replace(folder, ""), message=mistake.message.replace(folder, ""))
