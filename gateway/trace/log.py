"""The process's own log: JSON lines on standard error, written by a thread so that a blocked pipe holds nothing up."""

from __future__ import annotations

import logging
import queue
import sys
from logging.handlers import QueueHandler, QueueListener

import orjson

_PENDING = 10_000
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLine(logging.Formatter):
    """One record as one line of JSON; whatever was given as `extra` becomes a field."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "at": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in _STANDARD},
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(fields, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


class _Dropping(QueueHandler):
    """Drops what no longer fits, where the standard handler would print a traceback."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            return


def start_logging(level: str) -> QueueListener:
    """Sends everything the process logs to standard error; stop the listener to flush it."""
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(JsonLine())
    pending: queue.Queue[logging.LogRecord] = queue.Queue(_PENDING)
    logging.basicConfig(level=level.upper(), handlers=[_Dropping(pending)], force=True)
    listener = QueueListener(pending, stream)
    listener.start()
    return listener
