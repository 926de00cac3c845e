"""Every client's own library works with every provider dialect, whatever it speaks itself."""

from __future__ import annotations

import pytest

from tests.compatibility.matrix import CELLS, MODELS, PAGE, PROGRAMS, Client, missing, outcome, page

pytestmark = [
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
    pytest.mark.filterwarnings("ignore"),  # of the litellm SDK, as it is imported
]
_seen: dict[tuple[str, str, str], str | None] = {}


@pytest.mark.parametrize("client", PROGRAMS, ids=lambda client: f"{client.program}")
async def test_a_client_is_served_whatever_the_provider_speaks(client: Client) -> None:
    found = await outcome([client])
    _seen.update(found)

    assert {key[1:]: why for key, why in found.items() if why is not None} == {}
    assert len(found) == len(MODELS) * len(CELLS)


def test_the_page_says_what_was_seen() -> None:
    """Those that were not run now are taken to do as they should."""
    seen = {
        (client.program, model, cell): _seen.get((client.program, model, cell))
        for client in PROGRAMS
        for model in MODELS
        for cell in CELLS
    }
    assert PAGE.read_text() == page(seen), "python -m tests.compatibility.matrix writes the page"
