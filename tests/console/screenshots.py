"""Takes the pictures in docs/screenshots: `python -m tests.console.screenshots`."""

from __future__ import annotations

import asyncio
from pathlib import Path

from playwright.async_api import Route, async_playwright

from tests.console.conftest import Reader, chromium, served
from tests.console.fake_admin import FakeAdmin
from tests.console.png import reduced
from tests.console.traffic import HOSTILE, LONG

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
PAGES = {
    "overview": ("light", "dark"),
    "call/req_00000000000000001": ("light", "dark"),
    "calls": ("light",),
    "latency": ("dark",),
    "spend?range=24h": ("light",),
    "budgets": ("light",),
    "cache": ("light",),
    "routing": ("light",),
    "templates/support": ("light",),
    "upstreams": ("dark",),
    "errors": ("light",),
}
HEIGHT = 800
HEIGHTS = {"cache": 1540}
"""Where what matters stands further down."""
GENTLE = {
    f"{HOSTILE}/{HOSTILE}": "hooli/labs",
    f"It failed: {HOSTILE}": "the connection was reset",
    f" {LONG}": "",
    LONG: "retail",
    f"status 503 {HOSTILE}": "status 503",
    f"overloaded {HOSTILE}": "overloaded",
    f"vllm/{HOSTILE}": "vllm/llama-3.1-8b",
    HOSTILE: "llama",
}
"""What is not meant to hurt, in place of what is."""


async def _gentle(route: Route) -> None:
    reply = await route.fetch()
    text = await reply.text()
    for hostile, harmless in GENTLE.items():
        text = text.replace(hostile, harmless)
    await route.fulfill(response=reply, body=text)


async def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    admin = FakeAdmin()
    async with served(admin) as url, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        for address, themes in PAGES.items():
            for theme in themes:
                context = await browser.new_context(
                    viewport={"width": 1280, "height": HEIGHTS.get(address, HEIGHT)},
                    color_scheme="dark" if theme == "dark" else "light",
                )
                reader = Reader(await context.new_page(), url, admin)
                await reader.page.route("**/admin/v1/**", _gentle)
                await reader.let_in()
                await reader.open(address)
                name = address.partition("?")[0].partition("/")[0]
                (FOLDER / f"{name}-{theme}.png").write_bytes(reduced(await reader.page.screenshot()))
                await context.close()
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
