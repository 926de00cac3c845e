from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.conftest import House
from tests.realtime.talker import Talker, policy, talking


@pytest.fixture
async def talker(house: House) -> AsyncIterator[Talker]:
    """To be left before the gateway is: it has no session any more then."""
    async with talking() as talker:
        await house.adopt(policy(talker))
        yield talker
