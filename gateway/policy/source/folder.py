"""All `*.yaml` and `*.yml` files of a folder as one document, and the templates below it.

Hidden files and other subfolders are passed over; symbolic links are followed. Mappings of the same section merge, lists are
joined in the order of the file names. Templates are the `*.yaml` and `*.yml` files of `templates/` and its subfolders, and the
partials that they share the `*.txt` files of `templates/partials/`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path as FilePath
from typing import TypeVar

from gateway.policy.mistakes import Mistake, Mistakes, Path, Place, PolicyError
from gateway.policy.source.document import LARGEST_FILE, Document, parse

T = TypeVar("T")

TEMPLATES = "templates"
"""The subfolder of templates; one subfolder deeper they need a name in the policy."""
PARTIALS = "partials"
"""The subfolder of it in which the partials are."""
YAML = (".yaml", ".yml")
STORED = "stored/"
"""Before the names of templates that are no files: of those that the store has. No file of a policy begins like this."""
NONE_STORED: Mapping[str, bytes] = {}


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """`name` is the file's below the policy's folder, with `/` between its parts."""

    name: str
    entry: os.DirEntry[str]


@dataclass(frozen=True, slots=True)
class Source:
    """What a folder says, and the store beside it. `version` is the first 12 hexadecimal digits of a hash of the names and bytes
    of its files and of the stored templates. `below` are the files of templates and partials, by their names below `folder`, such
    as `templates/support.yaml`; `stored` are the stored ones by their own."""

    folder: FilePath
    document: Document
    version: str
    below: Mapping[str, bytes] = field(default_factory=dict)
    stored: Mapping[str, bytes] = field(default_factory=dict)


def read(folder: FilePath, environment: Mapping[str, str], stored: Mapping[str, bytes] = NONE_STORED) -> Source:
    """The files of `folder` merged. Raises PolicyError with everything that is wrong with them as YAML."""
    merged = Document()
    clashes = Mistakes(merged.places)
    wrong: list[Mistake] = []
    found = _contents(folder, wrong)
    for name, content in found:
        if "/" in name:
            continue
        merged.places.values.setdefault((), Place(str(folder / name), 1, 1))
        document, mistakes = parse(content, str(folder / name), environment)
        wrong.extend(mistakes.found)
        _merge(document, merged, clashes)
    wrong.extend(clashes.found)
    if wrong:
        raise PolicyError(wrong)
    below = {name: content for name, content in found if "/" in name}
    return Source(folder, merged, version_of(with_stored(dict(found), stored).items()), below, stored)


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


def stored_file(name: str) -> str:
    """What a stored template's name is among files."""
    return f"{STORED}{name}.yaml"


def is_stored(file: str) -> bool:
    return file.startswith(STORED)


def with_stored(files: Mapping[str, bytes], stored: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of a policy and the stored templates, in the order of their names."""
    return dict(sorted({**files, **{stored_file(name): content for name, content in stored.items()}}.items()))


def apart(files: Mapping[str, str]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """What `with_stored` put together: the files, and the stored templates by their own names."""
    stored = {name[len(STORED) :].removesuffix(".yaml"): text for name, text in files.items() if is_stored(name)}
    return {name: text for name, text in files.items() if not is_stored(name)}, stored


def policy_files(folder: FilePath) -> list[PolicyFile]:
    """The folder's policy files by name. Raises OSError when there is no such folder."""
    found = [PolicyFile(each.name, each) for each in _named(folder, YAML) if not each.is_dir()]
    if (folder / TEMPLATES).is_dir():
        found += _below(folder / TEMPLATES, f"{TEMPLATES}/")
    return sorted(found, key=lambda each: each.name)


def _below(folder: FilePath, prefix: str) -> Iterator[PolicyFile]:
    for entry in _named(folder, YAML):
        if not entry.is_dir():
            yield PolicyFile(prefix + entry.name, entry)
    for inner in _named(folder, ("",)):
        if inner.is_dir():
            ends = (".txt",) if inner.name == PARTIALS else YAML
            yield from (
                PolicyFile(f"{prefix}{inner.name}/{each.name}", each)
                for each in _named(folder / inner.name, ends)
                if not each.is_dir()
            )


def _named(folder: FilePath, ends: tuple[str, ...]) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [each for each in entries if each.name.endswith(ends) and not each.name.startswith(".")]


def _contents(folder: FilePath, wrong: list[Mistake]) -> list[tuple[str, bytes]]:
    try:
        entries = policy_files(folder)
    except OSError as error:
        raise PolicyError([_unreadable(folder, error)]) from error
    if not any("/" not in each.name for each in entries):
        raise PolicyError([Mistake(str(folder), 1, 1, "", "there is no policy file (*.yaml) in this folder")])
    contents: list[tuple[str, bytes]] = []
    for file in entries:
        try:
            contents.append((file.name, _content(file.entry)))
        except OSError as error:
            wrong.append(_unreadable(folder / file.name, error))
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
