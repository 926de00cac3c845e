"""Whose a file or batch is: told by its id and by a mark at the provider, without a table of our own.

The id that a client sees is the provider's with a code in it, made of the provider's name, the tenant and the id under a secret:
one that was made for somebody else, or by nobody, is not known. What the provider lists is marked with whose it is, in the name
of a file or the metadata of a batch; the mark is taken away before a client sees it.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from gateway.core.errors import NotFound
from gateway.core.secret import Secret
from gateway.core.tenant import Tenant

METADATA = "llmgw_owner"
_GIVEN = re.compile(r"([A-Za-z]+[-_])llmgw-([0-9a-f]{24})-([A-Za-z0-9_.-]{1,128})")
_PROVIDERS = re.compile(r"([A-Za-z]+[-_])([A-Za-z0-9_.-]{1,128})")
_IDS = ("id", "input_file_id", "output_file_id", "error_file_id", "first_id", "last_id")


class Ownership:
    """Of one tenant at one provider."""

    def __init__(self, pepper: Secret, provider: str, tenant: Tenant) -> None:
        self._key = blake2b(pepper.reveal().encode(), digest_size=32, person=b"llmgw files").digest()
        self._whose = f"{provider}\0{tenant.name}\0"
        self.mark = self._code("")

    def given(self, id: str) -> str:
        """The id that the client sees for the provider's."""
        found = _PROVIDERS.fullmatch(id)
        return "" if found is None else f"{found[1]}llmgw-{self._code(id)}-{found[2]}"

    def own(self, given: str) -> str:
        """The provider's id. Raises NotFound for one that is not this tenant's."""
        found = _GIVEN.fullmatch(given)
        id = "" if found is None else found[1] + found[3]
        if found is None or not hmac.compare_digest(found[2], self._code(id)):
            raise NotFound("there is no such file or batch of yours", code="not_found")
        return id

    def marked(self, name: str) -> str:
        """The name of a file that is to be this tenant's."""
        return f"llmgw-{self.mark}-{name}"

    def is_own(self, listed: Mapping[str, Any]) -> bool:
        """Whether something that the provider lists has this tenant's mark."""
        metadata = listed.get("metadata")
        if isinstance(metadata, dict) and METADATA in metadata:
            return bool(metadata[METADATA] == self.mark)
        name = listed.get("filename")
        return isinstance(name, str) and name.startswith(self.marked(""))

    def shown(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """A file or batch as the client sees it."""
        shown = dict(told)
        for name in _IDS:
            if isinstance(value := shown.get(name), str):
                shown[name] = self.given(value)
        if isinstance(file := shown.get("filename"), str):
            shown["filename"] = file.removeprefix(self.marked(""))
        if isinstance(metadata := shown.get("metadata"), dict):
            shown["metadata"] = {key: value for key, value in metadata.items() if key != METADATA} or None
        return shown

    def _code(self, id: str) -> str:
        text = (self._whose + id).encode("utf-8", "surrogatepass")
        return blake2b(text, digest_size=12, key=self._key).hexdigest()
