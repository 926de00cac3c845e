"""What the admin port sends to browsers: complete, closed to other origins, and kept by them only as long as it is right."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import AsyncIterator
from fnmatch import fnmatch
from importlib.resources import files
from pathlib import Path

import aiohttp
import pytest

from tests.admin.conftest import admin_of, refused
from tests.conftest import House

ROOT = Path(__file__).parents[2]
CONSOLE = ROOT / "gateway" / "console"
SOURCES = sorted(path for path in CONSOLE.rglob("*") if path.suffix in (".js", ".css", ".html", ".svg"))
OWN = [path for path in SOURCES if path.parent.name != "vendor"]
LOCKS = sorted(ROOT.glob("*/console/vendor/vendor.lock"))


@pytest.fixture
async def browser(house: House) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that shows no key, as a browser before the login."""
    async with aiohttp.ClientSession(base_url=house.worker.admin_url) as session:
        yield session


async def linked(browser: aiohttp.ClientSession) -> list[str]:
    """The addresses that the index names."""
    async with browser.get("/console/") as reply:
        assert (reply.status, reply.content_type) == (200, "text/html")
        return re.findall(r'(?:href|src)="([^"]+)"', await reply.text())


async def test_the_console_is_at_its_address_with_and_without_the_slash(browser: aiohttp.ClientSession) -> None:
    async with browser.get("/console", allow_redirects=False) as reply:
        assert (reply.status, reply.headers["location"]) == (308, "/console/")
    async with browser.get("/console") as reply:
        assert reply.status == 200


async def test_every_file_that_the_index_and_the_modules_name_is_served(browser: aiohttp.ClientSession) -> None:
    wanted, seen = await linked(browser), set[str]()
    assert wanted
    while wanted:
        path = wanted.pop()
        if path in seen:
            continue
        seen.add(path)
        async with browser.get(f"/console/{path}") as reply:
            assert reply.status == 200, path
            assert reply.headers["cache-control"] == "public, max-age=31536000, immutable"
            for name in re.findall(r'\bfrom ?"(\.[^"]+)"|\bimport "(\.[^"]+)"', await reply.text()):
                wanted.append(str((Path("/") / path).parent.joinpath("".join(name)).resolve()).lstrip("/"))
    served = {path.partition("/")[2] for path in seen}
    assert served == {str(path.relative_to(CONSOLE)) for path in SOURCES} - {"index.html", "types.js"}


async def test_what_is_sent_may_load_nothing_from_elsewhere_and_run_nothing_inline(
    browser: aiohttp.ClientSession,
) -> None:
    for path in ("/console/", *(f"/console/{each}" for each in await linked(browser))):
        async with browser.get(path) as reply:
            policy = dict(each.split(" ", 1) for each in reply.headers["content-security-policy"].split("; "))
            assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
            assert {policy[name] for name in ("script-src", "style-src", "connect-src", "img-src")} == {"'self'"}
            assert reply.headers["x-content-type-options"] == "nosniff"
            assert reply.headers["referrer-policy"] == "no-referrer"


async def test_the_index_is_asked_for_anew_each_time(browser: aiohttp.ClientSession) -> None:
    async with browser.get("/console/") as reply:
        assert reply.headers["cache-control"] == "no-cache"


async def test_a_file_of_another_version_is_not_kept(browser: aiohttp.ClientSession) -> None:
    async with browser.get("/console/0123456789abcdef/main.js") as reply:
        assert (reply.status, reply.headers["cache-control"]) == (200, "no-store")


@pytest.mark.parametrize(
    "path", ["nothing.js", "../admin/v1/calls", "vendor/vendor.lock", "..%2f..%2fapp.py", "index.html", "pages"]
)
async def test_nothing_else_is_served(browser: aiohttp.ClientSession, path: str) -> None:
    async with browser.get(f"/console/x/{path}") as reply:
        assert reply.status in (401, 404)
        assert reply.content_type == "application/json"


async def test_the_admin_api_still_needs_the_key_and_is_not_kept(browser: aiohttp.ClientSession, house: House) -> None:
    async with browser.get("/admin/v1/calls") as reply:
        assert await refused(reply) == (401, "invalid_api_key")
    async with admin_of(house) as admin, admin.get("/admin/v1/calls") as reply:
        assert reply.headers["cache-control"] == "no-store"


def test_the_wheel_has_every_file() -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"][
        "gateway.console"
    ]

    for path in SOURCES:
        name = str(path.relative_to(CONSOLE))
        assert any(fnmatch(name, each) and name.count("/") == each.count("/") for each in patterns), name
        assert (files("gateway") / "console" / name).is_file()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.parents[2].name))
def test_what_others_wrote_is_what_the_lock_says_with_its_licence(lock: Path) -> None:
    rows = [line.split() for line in lock.read_text().splitlines()]

    assert {row[1] for row in rows} == {path.name for path in lock.parent.glob("*.js")}
    for sha256, name, package, *_ in rows:
        assert hashlib.sha256((lock.parent / name).read_bytes()).hexdigest() == sha256
        assert (lock.parent / f"LICENSE.{package.split('/')[-1]}").exists()


@pytest.mark.parametrize("path", OWN, ids=lambda path: str(path.relative_to(CONSOLE)))
def test_no_file_asks_for_what_the_policy_forbids_or_takes_text_for_markup(path: Path) -> None:
    text = path.read_text()

    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|dangerouslySet|document\.write|\beval\(|new Function", text
    )
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=[\"']|\son[a-z]+=", text)
    assert len(text.splitlines()) <= 400
