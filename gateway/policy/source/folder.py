"""All `*.yaml` and `*.yml` files of a folder as one document.

Hidden files and subfolders are passed over; symbolic links are followed. Mappings of the same section merge, lists are
joined in the order of the file names.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path as FilePath
from typing import TypeVar

from gateway.policy.mistakes import Mistake, Mistakes, Path, Place, PolicyError
from gateway.policy.source.document import LARGEST_FILE, Document, parse

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Source:
    """What a folder says. `version` is the first 12 hexadecimal digits of a hash of its files' names and bytes."""

    document: Document
    version: str


def read(folder: FilePath, environment: Mapping[str, str]) -> Source:
    """The files of `folder` merged. Raises PolicyError with everything that is wrong with them as YAML."""
    merged = Document()
    clashes = Mistakes(merged.places)
    wrong: list[Mistake] = []
    found = _contents(folder, wrong)
    for name, content in found:
        merged.places.values.setdefault((), Place(str(folder / name), 1, 1))
        document, mistakes = parse(content, str(folder / name), environment)
        wrong.extend(mistakes.found)
        _merge(document, merged, clashes)
    wrong.extend(clashes.found)
    if wrong:
        raise PolicyError(wrong)
    return Source(merged, version_of(found))


def contents(folder: FilePath) -> dict[str, bytes]:
    """Its policy files, by name. Raises PolicyError where they cannot be read, or there are none."""
    wrong: list[Mistake] = []
    found = _contents(folder, wrong)
    if wrong:
        raise PolicyError(wrong)
    return dict(found)


def version_of(files: Iterable[tuple[str, bytes]]) -> str:
    """Of files in the order of their names; see Source."""
    digest = sha256()
    for name, content in files:
        digest.update(f"{name}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
        digest.update(content)
    return digest.hexdigest()[:12]


def policy_files(folder: FilePath) -> list[os.DirEntry[str]]:
    """The folder's policy files by name. Raises OSError when there is no such folder."""
    with os.scandir(folder) as entries:
        named = [each for each in entries if each.name.endswith((".yaml", ".yml")) and not each.name.startswith(".")]
    return sorted((each for each in named if not each.is_dir()), key=lambda each: each.name)


def _contents(folder: FilePath, wrong: list[Mistake]) -> list[tuple[str, bytes]]:
    try:
        entries = policy_files(folder)
    except OSError as error:
        raise PolicyError([_unreadable(folder, error)]) from error
    if not entries:
        raise PolicyError([Mistake(str(folder), 1, 1, "", "there is no policy file (*.yaml) in this folder")])
    contents: list[tuple[str, bytes]] = []
    for entry in entries:
        try:
            contents.append((entry.name, _content(entry)))
        except OSError as error:
            wrong.append(_unreadable(folder / entry.name, error))
    return contents


def _content(entry: os.DirEntry[str]) -> bytes:
    """The file's bytes, one more than allowed at the most, so that the parser can refuse it."""
    if not stat.S_ISREG(entry.stat().st_mode):
        raise OSError("it is not a file")
    with open(entry.path, "rb") as file:
        return file.read(LARGEST_FILE + 1)


def _unreadable(path: FilePath, error: OSError) -> Mistake:
    return Mistake(str(path), 1, 1, "", f"cannot be read: {error.strerror or error}")


def _merge(document: Document, merged: Document, clashes: Mistakes) -> None:
    """Adds a file's sections to `merged`, with the places of their values."""
    offsets: dict[str, int] = {}
    for section, value in document.root.items():
        present = merged.root.get(section)
        if isinstance(present, list) and isinstance(value, list):
            offsets[section] = len(present)
            merged.root[section] = present + value
        elif isinstance(present, dict) and isinstance(value, dict):
            for name in present.keys() & value.keys():
                _clash((section, name), document, merged, clashes)
            merged.root[section] = present | value
        elif present is None:
            merged.root[section] = value
        elif present != value:
            _clash((section,), document, merged, clashes)
    _move_places(document, merged, offsets)


def _clash(path: Path, document: Document, merged: Document, clashes: Mistakes) -> None:
    place = document.places.find(path, key=True)
    clashes.add_at(place, path, f"{path[-1]!r} is already given at {merged.places.find(path, key=True)}")


def _move_places(document: Document, merged: Document, offsets: Mapping[str, int]) -> None:
    def moved(path: Path) -> Path:
        match path:
            case (str(section), int(index), *rest):
                return (section, index + offsets.get(section, 0), *rest)
        return path

    _add(document.places.keys, merged.places.keys, moved)
    _add(document.places.values, merged.places.values, moved)
    _add(document.written, merged.written, moved)
    _add(document.unset, merged.unset, moved)
    merged.filled.update(document.filled)


def _add(source: Mapping[Path, T], target: dict[Path, T], moved: Callable[[Path], Path]) -> None:
    for path, value in source.items():
        if path:
            target.setdefault(moved(path), value)
