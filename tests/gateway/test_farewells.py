"""Who ends says goodbye by one last beat; who came back meanwhile does not."""

import pytest

from spotkeeper_contracts.agents import AgentState, DeleteAgent, ShutDownAgent
from spotkeeper_contracts.clients import DeleteClient
from spotkeeper_contracts.message import Done
from spotkeeper_contracts.values import AgentStatus
from tests.gateway.conftest import Tenant
from tests.gateway.driver import ADMIN_TOKEN, Bus, GatewayProcess
from tests.stack import eventually


async def becomes(bus: Bus, tenant: Tenant, **changes: object) -> None:
    """Let the gateway's view see the agent in another state."""
    state: AgentState = tenant.agent.model_copy(update={"epoch": 77, **changes})
    await bus.tell(state)

    async def seen() -> bool:
        answer = await tenant.http.get(f"{tenant.path}/config")
        return answer.status_code == 410 or answer.headers["X-Agent-Epoch"] == "77"

    await eventually(seen, within_seconds=10)


async def end(bus: Bus, tenant: Tenant, method: str, *, revision: int) -> list[str]:
    """End the agent, which its owner did at this revision; tells the beats of it."""
    for question in (DeleteAgent, ShutDownAgent):
        bus.owner.answers[question] = lambda _: Done(revision=revision)
    place = tenant.path if method == "DELETE" else f"{tenant.path}/shutdown"
    assert (await tenant.http.request(method, place)).status_code == 200
    return [beat.status for beat in await bus.beats(tenant.agent.agent_id)]


@pytest.mark.parametrize("method", ["DELETE", "POST"])
async def test_an_agent_that_ends_says_goodbye(bus: Bus, tenant: Tenant, method: str) -> None:
    assert await end(bus, tenant, method, revision=1) == ["stopping"]


@pytest.mark.parametrize("method", ["DELETE", "POST"])
async def test_no_goodbye_is_said_for_an_agent_that_came_back(
    bus: Bus, tenant: Tenant, method: str
) -> None:
    await becomes(bus, tenant, revision=3, status=AgentStatus.ONLINE)
    assert await end(bus, tenant, method, revision=2) == []


async def test_the_agents_of_a_deleted_client_say_goodbye(
    bus: Bus, tenant: Tenant, gateway: GatewayProcess
) -> None:
    bus.owner.answers[DeleteClient] = lambda _: Done(revision=1)
    async with gateway.client(ADMIN_TOKEN) as admin:
        answer = await admin.delete(f"/api/admin/clients/{tenant.state.client_id}")
    assert answer.status_code == 200

    async def said() -> bool:
        return [beat.status for beat in await bus.beats(tenant.agent.agent_id)] == ["stopping"]

    await eventually(said, within_seconds=10)
