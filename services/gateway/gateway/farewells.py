"""The last beats of agents that end: from then on nobody watches them, and nobody misses them."""

from chassis.producer import BusUnavailable
from gateway.running import Gateway
from gateway.views import KnownAgent
from spotkeeper_contracts.presence import Beat
from spotkeeper_contracts.values import AgentStatus


async def say_goodbye(agent: KnownAgent, revision: int | None, gateway: Gateway) -> None:
    """Append the last beat of an agent that ended at this revision, unless it came back since."""
    now = gateway.agents.latest(agent)
    has_ended = now.state.deleted or now.state.status is AgentStatus.STOPPING
    if has_ended or not now.has_moved_on(revision):
        await gateway.coalescer.append(_last_beat(now))


def say_goodbye_of_client(client: str, gateway: Gateway) -> None:
    """Append the last beats of a deleted client's agents, whose tokens let them send no other.

    Nobody waits for them: one that gets lost is an agent that is reported offline once.
    """
    try:
        for agent in gateway.agents.of_client(client):
            gateway.coalescer.put(_last_beat(agent), lambda _: None, agent.partition)
    except BusUnavailable:
        pass  # The client is deleted all the same, which is what was asked for.


def _last_beat(agent: KnownAgent) -> Beat:
    state = agent.state
    return Beat(
        agent_id=str(state.agent_id),
        client_id=agent.client,
        status="stopping",
        instance_id=state.instance_id,
        current_mode=state.current_mode,
        current_pool_id=state.current_pool_id,
        agent_version=state.agent_version,
    )
