"""Durations, windows and times of the week, sizes, shares, money and token ranges as an admin writes them."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from zoneinfo import available_timezones

from gateway.budget.windows import Calendar, Forever, Period, Rolling, Window
from gateway.core.money import NANO
from gateway.policy.mistakes import nearest
from gateway.route.hours import DAYS, Hours
from gateway.route.rules import Span

SHORTEST = 60
LONGEST = 366 * 86400
"""Seconds of a rolling window."""

_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_TOKENS = {"": 1, "k": 10**3, "M": 10**6}
_QUANTITY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([A-Za-z]*)")
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,4})?) ?%")
_AT_MOST = re.compile(r"<= ?([0-9]{1,5}(?:\.[0-9]{1,4})?) ?%")
_AT_LEAST = re.compile(r">= ?([0-9]{1,9}[kM]?)( per route)?")
_LAST = re.compile(r"last[ -]([0-9]{1,9}[smhd])")
_PERIODS = {period.value: period for period in Period}
_DOLLARS_PER_DAY = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,9})?) ?(?:USD|\$) ?(?:/|per) ?day")
_HOURS = re.compile(
    r"(?:(?P<days>[a-z,-]+) +)?(?P<first>[0-9]{1,2}:[0-9]{2}) ?- ?(?P<last>[0-9]{1,2}:[0-9]{2})(?: +(?P<zone>\S+))?"
)
_COMPARISON = re.compile(r"(<=|>=|<|>) ?(\S+)")
_RANGE = re.compile(r"(\S+?) ?\.\. ?(\S+)")


def seconds(written: object) -> float:
    """`5s`, `250ms`, `2m`, `1h`, `1d`, or a number of seconds. Raises ValueError."""
    return _amount(written, _SECONDS, "a duration such as 5s, 250ms or 2m")


def bytes_count(written: object) -> int:
    """`16MiB`, `64KiB`, `10MB`, or a number of bytes. Raises ValueError."""
    return _whole(written, _BYTES, "a size such as 16MiB or 64KiB")


def tokens(written: object) -> int:
    """`400`, `2k` or `1M` tokens. Raises ValueError."""
    return _whole(written, _TOKENS, "a number of tokens such as 400, 2k or 1M")


def count(written: object) -> int:
    """`600` or `2k` of whatever is counted. Raises ValueError."""
    return _whole(written, _TOKENS, "a whole number such as 600 or 2k")


def share(written: object) -> float:
    """`80%` as 0.8. Raises ValueError."""
    found = _PERCENT.fullmatch(written) if isinstance(written, str) else None
    if found is None or not 0 < Decimal(found[1]) <= 100:
        raise ValueError(f"{_shown(written)} is not a share such as 80%")
    return float(Decimal(found[1]) / 100)


def at_most(written: object) -> float:
    """`<= 70%` as 0.7; it may be more than 100%. Raises ValueError."""
    found = _AT_MOST.fullmatch(written) if isinstance(written, str) else None
    if found is None:
        raise ValueError(f'{_shown(written)} is not a bound such as "<= 70%"')
    return float(Decimal(found[1]) / 100)


def at_least(written: object) -> tuple[int, bool]:
    """`>= 200 per route` as 200, and whether that is for each route. Raises ValueError."""
    found = _AT_LEAST.fullmatch(written) if isinstance(written, str) else None
    if found is None:
        raise ValueError(f'{_shown(written)} is not a number such as ">= 200 per route" or ">= 1k"')
    return tokens(found[1]), found[2] is not None


def last(written: object) -> float:
    """`last 7d` as seconds. Raises ValueError."""
    found = _LAST.fullmatch(written) if isinstance(written, str) else None
    length = 0.0 if found is None else _amount(found[1], _SECONDS, "a duration such as 7d")
    if not SHORTEST <= length <= LONGEST:
        raise ValueError(f"{_shown(written)} is not the traffic of a time such as last 7d, from 60s to 366d")
    return length


def window(written: object) -> Window:
    """`minute`, `hour`, `day`, `week`, `month` or `year`, in UTC; a duration such as `24h`; or `ever`. Raises ValueError."""
    word = written if isinstance(written, str) else ""
    if word == "ever":
        return Forever()
    if word in _PERIODS:
        return Calendar(_PERIODS[word])
    try:
        length = seconds(written)
    except ValueError:
        words = [*_PERIODS, "ever"]
        likely = nearest(word, words)
        raise ValueError(f"{_shown(written)} is not {', '.join(words)}, or a duration such as 24h{likely}") from None
    if not (length.is_integer() and SHORTEST <= length <= LONGEST):
        raise ValueError(f"{_shown(written)} is not a window of whole seconds, from 60s to 366d")
    return Rolling(int(length))


def instant(written: object) -> float:
    """`2026-01-05T09:00Z`, with its zone, in UTC seconds. Raises ValueError."""
    try:
        at = datetime.fromisoformat(written) if isinstance(written, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ValueError(f"{_shown(written)} is not a time such as 2026-01-05T09:00Z, with its zone")
    return at.timestamp()


def dollars_per_day(written: object) -> int:
    """`20 USD/day` as nano-USD. Raises ValueError."""
    found = _DOLLARS_PER_DAY.fullmatch(written) if isinstance(written, str) else None
    nano = int(Decimal(found[1]) * NANO) if found is not None else 0
    if not 0 < nano <= 1_000_000 * NANO:
        raise ValueError(f"{_shown(written)} is not an amount such as 20 USD/day")
    return nano


def time_of_week(written: object) -> Hours:
    """`22:00-06:00`, `mon-fri 08:00-18:00` or `sat,sun 10:00-12:00 Europe/Berlin`. Raises ValueError."""
    found = _HOURS.fullmatch(written.strip()) if isinstance(written, str) else None
    if found is None:
        raise ValueError(
            f'{_shown(written)} is not a time such as "22:00-06:00" or "mon-fri 08:00-18:00 Europe/Berlin"'
        )
    first, last = _minute(found["first"]), _minute(found["last"])
    if first == last:
        raise ValueError(f"no time is in {found['first']}-{found['last']}")
    zone = found["zone"] or "UTC"
    if zone not in available_timezones():
        raise ValueError(f"there is no time zone {zone!r}{nearest(zone, available_timezones())}")
    return Hours(first, last, _days(found["days"] or "mon-sun"), zone)


def _minute(written: str) -> int:
    hour, minute = (int(part) for part in written.split(":"))
    if hour * 60 + minute > 24 * 60 or minute > 59:
        raise ValueError(f"{written} is not a time of day")
    return hour * 60 + minute


def _days(written: str) -> frozenset[int]:
    days: set[int] = set()
    for part in written.split(","):
        first, _, last = part.partition("-")
        unknown = {first, last or first} - set(DAYS)
        if unknown:
            raise ValueError(f"there is no day {min(unknown)!r}; they are {', '.join(DAYS)}")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        days |= {day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)}
    return frozenset(days)


def token_span(written: object) -> Span:
    """`< 400`, `<= 2k`, `> 400`, `>= 1M` or `100..500`, both ends included. Raises ValueError."""
    text = written.strip() if isinstance(written, str) else ""
    compared, ranged = _COMPARISON.fullmatch(text), _RANGE.fullmatch(text)
    if compared is not None:
        span = _compared(compared[1], tokens(compared[2]))
    elif ranged is not None:
        span = Span(tokens(ranged[1]), tokens(ranged[2]))
    else:
        raise ValueError(f'{_shown(written)} is not a range of tokens such as "< 400", ">= 2k" or "100..500"')
    if span.most is not None and span.most < span.least:
        raise ValueError(f"no number of tokens fits {text!r}")
    return span


def _compared(sign: str, count: int) -> Span:
    match sign:
        case "<":
            return Span(0, count - 1)
        case "<=":
            return Span(0, count)
        case ">":
            return Span(count + 1)
        case _:
            return Span(count)


def _amount(written: object, units: dict[str, float], meaning: str) -> float:
    if isinstance(written, int | float) and not isinstance(written, bool) and 0 <= written < 10**15:
        return float(written)
    found = _QUANTITY.fullmatch(written) if isinstance(written, str) else None
    if found is None or found[2] not in units:
        raise ValueError(f"{_shown(written)} is not {meaning}")
    return float(found[1]) * units[found[2]]


def _whole(written: object, units: dict[str, int], meaning: str) -> int:
    amount = _amount(written, {unit: float(size) for unit, size in units.items()}, meaning)
    if not amount.is_integer():
        raise ValueError(f"{_shown(written)} is not {meaning}")
    return int(amount)


def _shown(written: object) -> str:
    if isinstance(written, str):
        return repr(written[:60])
    return "a mapping or list" if isinstance(written, dict | list) else str(written).lower()
