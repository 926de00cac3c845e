"""A reader with a browser, before the real console on an admin API with made-up figures."""

from __future__ import annotations

import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, BrowserContext, Page, Request, async_playwright

from tests.console.fake_admin import KEY, FakeAdmin

ELSEWHERE = "gateway.test"
"""A name that the browser takes for this machine, and the console for another."""
HERE = ("127.0.0.1", ELSEWHERE)
NO_CHROMIUM = (
    "the console's tests need Chromium: run scripts/get-browser.sh, or install it as chromium or google-chrome on the PATH "
    "(Debian: apt-get install chromium fonts-dejavu-core)"
)
SECONDS = 10


@dataclass
class Reader:
    """A tab. Whatever it complains of, and whatever it asks of other machines, fails the test that opened it."""

    page: Page
    url: str
    admin: FakeAdmin
    complaints: list[str] = field(default_factory=list)

    async def log_in(self, key: str = KEY) -> None:
        await self.page.goto(self.url)
        await self.page.get_by_label("Admin key").fill(key)
        await self.page.keyboard.press("Enter")

    async def let_in(self) -> None:
        """The admin key has been shown in this tab."""
        kept = f"if (location.protocol === 'http:') sessionStorage.setItem('llmgw.admin-key', '{KEY}')"
        await self.page.add_init_script(kept)

    async def open(self, address: str) -> None:
        """A page such as `calls?status=5xx`, loaded anew, once it has got all its answers."""
        await self.page.goto("about:blank")
        await self.page.goto(f"{self.url}#/{address}")
        await self.page.locator("h1").first.wait_for()
        await self.settled()

    async def settled(self) -> None:
        """Returns when nothing that is shown is still being asked for."""
        await self.page.wait_for_function(
            "() => !document.querySelector('[aria-busy=true], .refreshing') && document.querySelector('main')"
        )

    def asked(self, path: str) -> list[str]:
        """What was asked of this path of the admin API, in order."""
        return [each for each in self.admin.asked if urlsplit(each).path == f"/admin/v1/{path}"]


Open = Callable[..., Awaitable[Reader]]


def chromium() -> str:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.fail(NO_CHROMIUM)
    return found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    arguments = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1",
    ]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=arguments)
        yield browser
        await browser.close()


@asynccontextmanager
async def served(admin: FakeAdmin) -> AsyncIterator[str]:
    """The address of the console on this admin API."""
    runner = web.AppRunner(admin.application(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    listening = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listening).start()
    port = listening.getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/console/"
    finally:
        await runner.cleanup()


@pytest_asyncio.fixture(loop_scope="session")
async def open_tab(browser: Browser) -> AsyncIterator[Open]:
    """Opens a tab at the login, with Playwright's options of a browser context."""
    async with AsyncExitStack() as open_things:
        admin = FakeAdmin()
        url = await open_things.enter_async_context(served(admin))
        readers: list[Reader] = []

        async def open(**options: object) -> Reader:
            context = await browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})  # type: ignore[arg-type]
            open_things.push_async_callback(context.close)
            reader = Reader(await tab(context), url, admin)
            listen(reader)
            readers.append(reader)
            return reader

        yield open
        for reader in readers:
            assert reader.complaints == []


@pytest_asyncio.fixture(loop_scope="session")
async def reader(open_tab: Open) -> Reader:
    """An empty tab in which the admin key has been shown."""
    reader = await open_tab()
    await reader.let_in()
    return reader


async def tab(context: BrowserContext) -> Page:
    context.set_default_timeout(SECONDS * 1000)
    return await context.new_page()


def listen(reader: Reader) -> None:
    def asked(request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "about") and parts.hostname not in HERE:
            reader.complaints.append(f"asked {request.url}")

    reader.page.on("request", asked)
    reader.page.on("pageerror", lambda error: reader.complaints.append(f"raised {error}"))
    reader.page.on("dialog", lambda dialog: reader.complaints.append(f"showed {dialog.message}"))
    reader.page.on("console", lambda said: _judge(reader, said.type, said.text))


def _judge(reader: Reader, type: str, text: str) -> None:
    """The browser itself reports what the API refuses; that is no fault of the console."""
    if type in ("error", "warning") and "Failed to load resource" not in text:
        reader.complaints.append(f"{type}: {text}")


VENDOR = Path(__file__).parent / "vendor"


async def violations(page: Page) -> list[str]:
    """What axe finds against WCAG 2.2 AA and good practice."""
    if not await page.evaluate("() => 'axe' in window"):
        await page.evaluate((VENDOR / "axe.min.js").read_text())
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = await page.evaluate("rules => axe.run({runOnly: rules}).then(result => result.violations)", rules)
    return [
        f"{each['id']}: {node['html'][:200]} {node['failureSummary']}" for each in found for node in each["nodes"][:3]
    ]
