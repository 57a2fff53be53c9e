"""Fixtures of the heartbeat service's tests."""

from collections.abc import AsyncIterator

import pytest

from tests.heartbeat.bed import Bed, make_bed
from tests.stack import EmbeddedStack


@pytest.fixture(scope="module")
async def bed(
    own_stack: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Bed]:
    async with make_bed(own_stack, tmp_path_factory.mktemp("heartbeat")) as made:
        yield made
