"""The files of a folder are replaced all together or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gateway.policy.source.replacing import replace
from gateway.policy.source.written_out import masked

OLD = {"a.yaml": b"a: 1\n", "b.yaml": b"b: 1\n", "c.yaml": b"c: 1\n"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in OLD.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "notes.txt").write_text("stays")
    return tmp_path


def found(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in sorted(folder.iterdir()) if each.name != "notes.txt"}


def test_what_is_new_is_there_and_what_was_left_out_is_not(folder: Path) -> None:
    (folder / "a.yaml").chmod(0o640)
    new = {"a.yaml": b"a: 2\n", "b.yaml": OLD["b.yaml"], "d.yaml": b"d: 1\n"}

    replace(folder, new)

    assert found(folder) == new
    assert (folder / "notes.txt").read_text() == "stays"
    assert (folder / "a.yaml").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("call", ["replace", "unlink"])
@pytest.mark.parametrize("after", [0, 1])
def test_what_fails_half_way_is_put_back(folder: Path, monkeypatch: pytest.MonkeyPatch, call: str, after: int) -> None:
    real, done = getattr(os, call), []

    def failing(*paths: Any) -> None:
        done.append(paths)
        if len(done) == after + 1:
            raise OSError(28, "No space left on device")
        real(*paths)

    monkeypatch.setattr(os, call, failing)
    with pytest.raises(OSError, match="No space"):
        replace(folder, {"a.yaml": b"a: 2\n", "b2.yaml": b"b: 2\n"})
    monkeypatch.undo()

    assert found(folder) == OLD


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("providers: {p: {key: sk-abc}}", "providers: {p: {key: ***}}"),
        ("providers: {p: {key: '${KEY}'}}", None),
        (
            "providers: {p: {headers: {x-title: us, x-token: sk-abc}}}",
            "providers: {p: {headers: {x-title: us, x-token: ***}}}",
        ),
        ("providers: {p: {query: api-version=2024-10-21}}", None),
        ("providers: {p: {query: 'api-version=1&key=sk-abc'}}", "providers: {p: {query: '***'}}"),
        ("alerts: {webhook: 'https://h/sk-abc', headers: {a: sk-abc}}", "alerts: {webhook: '***', headers: {a: ***}}"),
        ('providers: {p: {key: "sk-\\x61bc"}}', ""),
        ("models: {demo: {use: demo/demo}}", None),
        ("key: [", None),
    ],
)
def test_credentials_that_are_written_out_are_taken_out(text: str, told: str | None) -> None:
    expected = text if told is None else told

    assert masked({"p.yaml": text}) == ({"p.yaml": expected}, told is None)
