"""Replaces the files of a policy folder: all of them, or none."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path as FilePath

from gateway.policy.source.folder import contents, policy_files


@contextmanager
def alone(folder: FilePath) -> Iterator[None]:
    """Nobody else on this machine replaces files there meanwhile. Raises OSError."""
    place = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(place, fcntl.LOCK_EX)
        yield
    finally:
        os.close(place)


def replace(folder: FilePath, files: Mapping[str, bytes]) -> None:
    """The policy files of the folder become these; others of it are removed. Raises OSError, and PolicyError where those that
    are there cannot be read; then nothing is changed.

    What is new is written and on the disk beside the old before anything is renamed; whoever reads meanwhile sees a folder in
    which some files are new already, for less than a watch takes to believe it.
    """
    before = contents(folder) if policy_files(folder) else {}
    new = {name: content for name, content in files.items() if before.get(name) != content}
    _stage(folder, new)
    done: list[str] = []
    try:
        for name in new:
            os.replace(_part(folder, name), folder / name)
            done.append(name)
        for name in before.keys() - files.keys():
            os.unlink(folder / name)
            done.append(name)
    except OSError:
        _put_back(folder, {name: before.get(name) for name in done})
        _forget(folder, new)
        raise
    _sync(folder, done)


def _stage(folder: FilePath, files: Mapping[str, bytes]) -> None:
    try:
        for name, content in files.items():
            _write(folder, name, content)
    except OSError:
        _forget(folder, files)
        raise


def _write(folder: FilePath, name: str, content: bytes) -> None:
    """With the mode of the file whose place it takes."""
    (folder / name).parent.mkdir(exist_ok=True, parents=True)
    with open(_part(folder, name), "wb") as file:
        with suppress(FileNotFoundError):
            os.fchmod(file.fileno(), os.stat(folder / name).st_mode & 0o777)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _put_back(folder: FilePath, files: Mapping[str, bytes | None]) -> None:
    for name, content in files.items():
        with suppress(OSError):
            if content is None:
                os.unlink(folder / name)
            else:
                _write(folder, name, content)
                os.replace(_part(folder, name), folder / name)


def _forget(folder: FilePath, files: Mapping[str, bytes]) -> None:
    for name in files:
        with suppress(OSError):
            os.unlink(_part(folder, name))


def _part(folder: FilePath, name: str) -> FilePath:
    """Hidden, so that no policy is read from it."""
    path = folder / name
    return path.with_name(f".{path.name}.part")


def _sync(folder: FilePath, names: Iterable[str]) -> None:
    for each in {folder, *((folder / name).parent for name in names)}:
        if each.is_dir():
            _sync_one(each)


def _sync_one(folder: FilePath) -> None:
    place = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)
