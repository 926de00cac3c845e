"""What a new virtual key shall be, checked as somebody asks for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.errors import InvalidRequest

DEFAULT_TENANT = "default"
_TENANT = re.compile(r"[\w.-]{1,64}(/[\w.-]{1,64})?", re.ASCII)
_AGE = re.compile(r"([1-9][0-9]{0,8})([smhdw]?)", re.ASCII)
_SECONDS: Mapping[str, int] = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LONGEST_NAME = 100
_LONGEST_MODEL = 200
_MOST_MODELS = 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """See VirtualKey for the fields. Whether the policy knows the tenant is judged at each call, not here."""

    name: str = ""
    tenant: str = DEFAULT_TENANT
    models: tuple[str, ...] | None = None
    expires: float | None = None

    def __post_init__(self) -> None:
        """Raises InvalidRequest."""
        if len(self.name) > _LONGEST_NAME or not (self.name.isprintable() and self.name.isascii()):
            raise InvalidRequest(f"A name has at most {_LONGEST_NAME} printable ASCII characters.", param="name")
        if _TENANT.fullmatch(self.tenant) is None:
            raise InvalidRequest("A tenant is `organisation` or `organisation/team`.", param="tenant")
        if self.models is not None and not (0 < len(self.models) <= _MOST_MODELS):
            raise InvalidRequest(f"Name 1 to {_MOST_MODELS} models, or leave them out.", param="models")
        if any(not 0 < len(model) <= _LONGEST_MODEL for model in self.models or ()):
            raise InvalidRequest(f"The names in models have 1 to {_LONGEST_MODEL} characters.", param="models")


def expiry(age: str, *, now: float) -> float:
    """The UTC seconds that lie `age` (`90m`, `30d`, `52w`) after now. Raises InvalidRequest."""
    match = _AGE.fullmatch(age)
    if match is None:
        raise InvalidRequest("Say after how long the key expires, such as 90m, 12h, 30d or 52w.", param="expires")
    return now + int(match[1]) * _SECONDS[match[2]]
