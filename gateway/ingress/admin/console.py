"""The web console: static files that the admin port serves. They hold no secret; what they show, they ask of the admin API."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import partial
from importlib.resources import files
from importlib.resources.abc import Traversable

from aiohttp import web

PREFIX = "/console/"
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
}
_KINDS = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_INDEX = "index.html"
_ALWAYS_ASK = "no-cache"
_FOR_GOOD = "public, max-age=31536000, immutable"


def console_routes() -> list[web.RouteDef]:
    """The files are read once, and served under an address that changes with them, so that browsers may keep them."""
    pages = dict(_files(files("gateway") / "console"))
    version = _version(pages)
    index = pages.pop(_INDEX).replace(b"{version}", version.encode())
    return [
        web.get(PREFIX.rstrip("/"), _to_console),
        web.get(PREFIX, partial(_index, index=index)),
        web.get(PREFIX + "{version}/{name:.+}", partial(_file, pages=pages, version=version)),
    ]


async def _to_console(request: web.Request) -> web.Response:
    return web.Response(status=308, headers={"location": PREFIX, "cache-control": _ALWAYS_ASK})


async def _index(request: web.Request, *, index: bytes) -> web.Response:
    return _answer(index, _INDEX, cache=_ALWAYS_ASK)


async def _file(request: web.Request, *, pages: Mapping[str, bytes], version: str) -> web.Response:
    """A file of another version is this one's, and is not kept: replicas are updated one after the other."""
    name = request.match_info["name"]
    if name not in pages:
        raise web.HTTPNotFound
    return _answer(pages[name], name, cache=_FOR_GOOD if request.match_info["version"] == version else "no-store")


def _answer(body: bytes, name: str, *, cache: str) -> web.Response:
    kind = _KINDS[name[name.rindex(".") :]]
    return web.Response(body=body, content_type=kind, charset="utf-8", headers={**HEADERS, "cache-control": cache})


def _files(folder: Traversable, path: str = "") -> Iterator[tuple[str, bytes]]:
    """Every file that a browser may ask for, by its path; not the licences and locks beside them."""
    for each in folder.iterdir():
        if each.is_dir():
            yield from _files(each, f"{path}{each.name}/")
        elif any(each.name.endswith(kind) for kind in _KINDS):
            yield path + each.name, each.read_bytes()


def _version(pages: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, body in sorted(pages.items()):
        digest.update(f"{name}\0{len(body)}\0".encode())
        digest.update(body)
    return digest.hexdigest()[:16]
