"""Tries policy files out before they are put into force."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from gateway.core.errors import InvalidRequest
from gateway.policy.mistakes import Mistake, PolicyError
from gateway.policy.snapshot import Snapshot
from gateway.policy.suite import Failure, Ran

_MOST_FILES = 500
_PART = r"[\w-][\w .-]{0,99}"
_NAME = re.compile(
    rf"{_PART}\.ya?ml|templates/({_PART}\.ya?ml|(?!partials/){_PART}/{_PART}\.ya?ml|partials/{_PART}\.txt)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Trying:
    """`compile` makes a snapshot of a folder, `test` what comes of its tests. Both block, and
    raise PolicyError."""

    compile: Callable[[Path], Snapshot]
    test: Callable[[Path], Ran]


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of it. `version` None: there are mistakes."""

    version: str | None
    notes: Sequence[str] = ()
    mistakes: Sequence[Mistake] = ()
    tests: int = 0
    failures: Sequence[Failure] = ()
    skipped: Sequence[Failure] = ()

    @property
    def is_good(self) -> bool:
        return self.version is not None and not self.failures

    def told(self) -> dict[str, object]:
        """Ready for JSON."""
        failed, skipped = _rows(self.failures), _rows(self.skipped)
        return {
            "ok": self.is_good,
            "version": self.version,
            "notes": list(self.notes),
            "mistakes": rows(self.mistakes),
            "tests": {"count": self.tests, "failed": failed, "skipped": skipped},
        }

    def summary(self) -> str:
        """What is wrong, a line for each."""
        return "\n".join(map(str, (*self.mistakes, *self.failures)))


def try_out(files: Mapping[str, str], trying: Trying) -> Tried:
    """What these files (name, text) as one policy give. It blocks. Raises InvalidRequest."""
    with _folder(files) as folder:
        return try_folder(folder, trying)


def try_folder(folder: Path, trying: Trying) -> Tried:
    """What a folder gives; places in it are told without its name. It blocks."""
    try:
        snapshot = trying.compile(folder)
        ran = trying.test(folder)
    except PolicyError as error:
        return Tried(None, mistakes=[_inside(mistake, f"{folder}/") for mistake in error.mistakes])
    failed, skipped = (
        [replace(each, place=replace(each.place, file=_without(each.place.file, f"{folder}/"))) for each in tests]
        for tests in (ran.failures, ran.skipped)
    )
    return Tried(snapshot.version, snapshot.notes, tests=ran.count, failures=failed, skipped=skipped)


def compiled(files: Mapping[str, str], compile_folder: Callable[[Path], Snapshot]) -> Snapshot:
    """The policy of these files (name, text). It blocks. Raises InvalidRequest, PolicyError."""
    with _folder(files) as folder:
        try:
            snapshot = compile_folder(folder)
        except PolicyError as error:
            raise PolicyError(_inside(mistake, f"{folder}/") for mistake in error.mistakes) from error
    promises = [replace(each, place=replace(each.place, file=Path(each.place.file).name)) for each in snapshot.promises]
    return replace(snapshot, promises=tuple(promises))


@contextmanager
def _folder(files: Mapping[str, str]) -> Iterator[Path]:
    """With these files, for a moment. Raises InvalidRequest."""
    if not 0 < len(files) <= _MOST_FILES:
        raise InvalidRequest(f"files must hold 1 to {_MOST_FILES} files", param="files")
    if not all(_NAME.fullmatch(name) for name in files):
        raise InvalidRequest(
            "files must be named like policy.yaml, templates/support.yaml or templates/partials/tone.txt", param="files"
        )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in files.items():
            (folder / file).parent.mkdir(exist_ok=True, parents=True)
            try:
                (folder / file).write_bytes(text.encode())
            except UnicodeEncodeError:
                raise InvalidRequest(f"{file} has characters that are none", param="files") from None
        yield folder


def _rows(tests: Iterable[Failure]) -> list[dict[str, object]]:
    return [{**asdict(each.place), "name": each.name, "message": each.message} for each in tests]


def rows(mistakes: Iterable[Mistake]) -> list[dict[str, object]]:
    """The mistakes, ready for JSON."""
    return [asdict(mistake) for mistake in mistakes]


def _inside(mistake: Mistake, folder: str) -> Mistake:
    """The mistake with the names of files as they were given."""
    return replace(mistake, file=_without(mistake.file, folder), message=_without(mistake.message, folder))


def _without(text: str, folder: str) -> str:
    return text.replace(folder, "")
