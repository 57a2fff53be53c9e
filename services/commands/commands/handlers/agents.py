"""What others tell of agents: their state, and that they carry a switch out."""

from datetime import timedelta

from chassis.transaction import Tx
from commands.handlers.found import agent_as_told, known_agent
from commands.handlers.orders import command_of
from commands.handlers.settling import settle
from commands.store import contexts, queue
from spotkeeper_contracts.agents import AgentState
from spotkeeper_contracts.commands import CommandStarted, CommandStatus, CommandType
from spotkeeper_contracts.presence import AgentReportedChange
from spotkeeper_contracts.values import AgentStatus

RECORDED_WITHIN = timedelta(seconds=2)
"""So soon after the news of a move comes its record, if it was more than a registration."""


async def agent_state(state: AgentState, tx: Tx) -> None:
    """Keep the agent's newest state, and bring about what follows from it.

    If it has moved, the switch or the promotion by which it did is about to be recorded, and what
    asked for that ends then: nothing is overtaken before.
    """
    agent = await agent_as_told(state, tx)
    if agent.state.revision != state.revision:
        return
    if agent.has_moved:
        await contexts.look_again(tx.db, agent.id, at=tx.now + RECORDED_WITHIN)
    else:
        await settle(agent, tx)


async def agent_reported_change(event: AgentReportedChange, tx: Tx) -> None:
    """An agent that says it is switching carries out the switch that it fetched last."""
    if event.status is not AgentStatus.SWITCHING:
        return
    agent = await known_agent(event.agent_id, event.client_id, tx)
    if agent is None:
        return
    fetched = [
        row
        for row in await queue.open_commands(tx.db, agent.id, agent.client_id)
        if row["command_type"] == CommandType.SWITCH
        if row["status"] == CommandStatus.DELIVERED
    ]
    if not fetched:
        return
    row = max(fetched, key=lambda row: row["lease_until"])
    await queue.hand_out(
        tx.db,
        agent.id,
        [row["id"]],
        CommandStatus.EXECUTING,
        until=row["lease_until"],
        at=tx.now,
        by=tx.actor,
    )
    tx.emit(
        CommandStarted(
            agent_id=agent.id, client_id=agent.client_id, command=command_of(row), at=tx.now
        )
    )
