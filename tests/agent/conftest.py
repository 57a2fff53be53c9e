"""A control plane for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.agent.control_plane import ControlPlane, control_plane


@pytest.fixture
async def plane() -> AsyncIterator[ControlPlane]:
    """A control plane that serves."""
    plane = control_plane()
    async with plane.serving():
        yield plane
