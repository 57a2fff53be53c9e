"""Silence: with its real 120 seconds, watched while the other tests run."""

from datetime import datetime

import pytest

from spotkeeper_contracts.topics import AGENT_PRESENCE
from tests.stack import eventually
from tests.system.conftest import Watched
from tests.system.driver import System

pytestmark = pytest.mark.timeout(300)
SILENCE_SECONDS = 120.0
GRACE_SECONDS = 2.0


async def test_an_agent_silent_for_120_s_is_reported_offline_within_2_s(
    system: System, watched: Watched
) -> None:
    silent, beating = watched.silent, watched.beating

    async def offline() -> list[dict[str, object]]:
        messages = await system.messages(AGENT_PRESENCE, silent.id)
        return [m for m in messages if m["type"] == "AgentWentOffline.v1"]

    (event,) = await eventually(offline, within_seconds=SILENCE_SECONDS + 30, every=1.0)
    last, at = (datetime.fromisoformat(str(event[key])) for key in ("last_heartbeat_at", "at"))
    silence = (at - last).total_seconds()
    assert SILENCE_SECONDS < silence <= SILENCE_SECONDS + GRACE_SECONDS

    async def listed() -> bool:
        # By its instance: by now more agents of other tests are silent than a page holds.
        asked = {"status": "offline", "q": silent.registration["instance_id"]}
        page = (await system.http.get("/api/agents", params=asked)).json()
        return silent.id in [item["agent_id"] for item in page["items"]]

    await eventually(listed, within_seconds=15)
    events = await system.messages(AGENT_PRESENCE, beating.id)
    assert [event["type"] for event in events] == ["AgentCameOnline.v1"]
