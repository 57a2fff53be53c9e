"""Fixtures that many tests share."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, settings

from tests.stack import KIND, EmbeddedStack, Stack, open_stack

# No verdict depends on how busy the machine is, or on the dice: a green run stays green.
settings.register_profile(
    "spotkeeper",
    deadline=None,
    derandomize=True,
    max_examples=50,  # The suite is to end in well under twenty minutes on two cores.
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("spotkeeper")


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Kafka and PostgreSQL for the whole session."""
    async with open_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="module")
async def own_stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedStack]:
    """Kafka and PostgreSQL for one module that breaks them, or must be alone on them."""
    if KIND != "embedded":
        pytest.skip("needs servers that it may kill: SPOTKEEPER_TEST_STACK=embedded")
    async with EmbeddedStack(tmp_path_factory.mktemp("own-stack")) as running:
        yield running
