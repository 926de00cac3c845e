"""Where a prompt template is put round a call. None can be declared yet, so a call that asks for one is refused."""

from __future__ import annotations

from gateway.core.call import Call
from gateway.core.errors import NotFound

_PREFIX = "template:"


def template(call: Call) -> Call:
    """The call with its template applied. Raises NotFound rather than send a call without the template it asked for."""
    name = call.template
    if name is None and call.model.startswith(_PREFIX):
        name = call.model.removeprefix(_PREFIX)
    if name is not None:
        raise NotFound(f"the template {name[:64]!r} does not exist", code="template_not_found", param="template")
    return call
