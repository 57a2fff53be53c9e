"""What others tell of agents: their state, and that they carry a switch out."""

from chassis.transaction import Tx
from commands.handlers.found import agent_as_told, known_agent
from commands.handlers.orders import command_of
from commands.handlers.settling import settle
from commands.store import queue, switches
from spotkeeper_contracts.agents import AgentState
from spotkeeper_contracts.commands import CommandStarted, CommandStatus, CommandType
from spotkeeper_contracts.presence import AgentReportedChange
from spotkeeper_contracts.values import AgentStatus


async def agent_state(state: AgentState, tx: Tx) -> None:
    """Keep the agent's newest state, and bring about what follows from it."""
    agent = await agent_as_told(state, tx)
    if agent.state.revision == state.revision:
        home = None if state.deleted else state.instance_id
        await switches.end_stay(tx.db, agent.id, at=tx.now, unless_on=home)
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
