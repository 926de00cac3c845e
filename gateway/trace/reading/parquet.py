"""Call records as a Parquet file, written as it is read; needs pyarrow, the extra `parquet`."""

from __future__ import annotations

import asyncio
import importlib
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import orjson

from gateway.core.errors import InvalidRequest

GROUP = 10_000
LARGEST = 4 * 1024 * 1024
"""Records in a row group, and their bytes as JSON, about."""
COLUMNS = (
    ("id", "string"),
    ("at", "float64"),
    *((name, "string") for name in ("trace_id", "span_id", "parent_span_id")),
    ("sampled", "bool"),
    ("status", "int64"),
    *((name, "string") for name in ("outcome", "error_code", "error", "failed_in")),
    *((name, "string") for name in ("org", "team", "tenant", "key_id", "key_name", "user")),
    *((name, "string") for name in ("method", "path", "operation", "model")),
    ("stream", "bool"),
    ("tags", "strings"),
    ("conversation", "string"),
    ("parameters", "json"),
    *((name, "string") for name in ("policy", "template", "route", "reason", "cache")),
    *((name, "string") for name in ("cache_kind", "cache_reason", "cache_entry", "cache_answer")),
    ("similarity", "float64"),
    ("saved_nano_usd", "int64"),
    ("saved_ms", "float64"),
    *((name, "string") for name in ("deployment", "provider", "upstream_model", "response_model", "response_id")),
    ("finish_reasons", "strings"),
    *((f"{name}_tokens", "int64") for name in ("input", "output", "cached", "cache_write", "reasoning", "audio")),
    ("estimated", "bool"),
    ("cost_nano_usd", "int64"),
    ("reserved_nano_usd", "int64"),
    *((f"{name}_ms", "float64") for name in ("duration", "first_byte", "overhead", "waited")),
    ("chunks", "int64"),
    ("dropped", "strings"),
    *((name, "json") for name in ("decision", "basis", "trial", "stages", "attempts", "link", "content")),
    ("rest", "json"),
)
"""Each with its type; `strings` are a list, `json` is text. `rest` has what else a record says."""
_NAMES = frozenset(name for name, _ in COLUMNS)


def parquet(parts: AsyncIterator[Sequence[bytes]]) -> AsyncIterator[bytes]:
    """The bytes of a file of the records. Raises InvalidRequest where pyarrow is not installed."""
    try:
        arrow = importlib.import_module("pyarrow")
        files = importlib.import_module("pyarrow.parquet")
    except ImportError:
        message = "Parquet needs pyarrow, which is not installed here: pip install pyarrow"
        raise InvalidRequest(message, code="parquet_unavailable", param="format") from None
    return _written(parts, arrow, files)


async def _written(parts: AsyncIterator[Sequence[bytes]], arrow: Any, files: Any) -> AsyncIterator[bytes]:
    types = {"string": arrow.string(), "json": arrow.string(), "strings": arrow.list_(arrow.string())}
    types |= {"int64": arrow.int64(), "float64": arrow.float64(), "bool": arrow.bool_()}
    schema = arrow.schema([(name, types[kind]) for name, kind in COLUMNS])
    file = _Parts()
    writer = files.ParquetWriter(file, schema, compression="zstd")

    def group(lines: Sequence[bytes]) -> None:
        rows = [_flat(orjson.loads(line)) for line in lines]
        writer.write_table(arrow.Table.from_pylist(rows, schema=schema))

    waiting: list[bytes] = []
    size = 0
    async for lines in parts:
        waiting += lines
        size += sum(map(len, lines))
        if len(waiting) >= GROUP or size >= LARGEST:
            await asyncio.to_thread(group, waiting)
            waiting, size = [], 0
            yield file.taken()
    if waiting:
        await asyncio.to_thread(group, waiting)
    writer.close()
    yield file.taken()


class _Parts(io.RawIOBase):
    """A file that only grows, and whose bytes are taken away as they come."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._size += len(part)
        return len(part)

    def tell(self) -> int:
        return self._size

    def taken(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def _flat(row: Mapping[str, Any]) -> dict[str, object]:
    flat = {name: _cast(kind, row.get(name)) for name, kind in COLUMNS}
    flat["rest"] = _cast("json", {name: value for name, value in row.items() if name not in _NAMES} or None)
    return flat


def _cast(kind: str, value: Any) -> object:
    """The value where it is of this kind; whole numbers that no column can hold are left out."""
    match kind:
        case "json":
            return None if value is None else orjson.dumps(value).decode()
        case "strings":
            return [str(each) for each in value] if isinstance(value, list) else None
        case "string":
            return value if isinstance(value, str) else None
        case "bool":
            return value if isinstance(value, bool) else None
        case "float64":
            return float(value) if isinstance(value, int | float) else None
        case _:
            return int(value) if isinstance(value, int | float) and abs(value) < 2**63 else None
