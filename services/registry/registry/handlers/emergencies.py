"""What the commands service tells of emergencies: lines in the agent's audit trail."""

from chassis.transaction import Tx
from registry.handlers.telling import note
from registry.store import agents
from spotkeeper_contracts.emergencies import (
    EmergencyChanged,
    EmergencyClosed,
    EmergencyOpened,
    EmergencyType,
)

ANNOUNCED = {
    EmergencyType.REBALANCE_RECOMMENDATION: "AWS recommends to leave instance",
    EmergencyType.TERMINATION_NOTICE: "AWS is about to terminate instance",
}
NOTHING_TO_DO = "none"


async def emergency_opened(event: EmergencyOpened, tx: Tx) -> None:
    """AWS announced something, and something was done about it or not."""
    agent = await agents.agent_for_update(tx.db, event.agent_id, event.client_id)
    if agent is None:
        return
    instance_id = event.instance_id or agent["instance_id"] or "unknown"
    text = f"{ANNOUNCED[event.kind]} {instance_id}: {event.action_taken}"
    fields = {"emergency_id", "kind", "action_taken", "instance_id", "replica_id", "command_id"}
    told = event.model_dump(mode="json", include=fields)
    await note(agent, tx, "emergency_opened", text, severity="warning", **told)


async def emergency_changed(event: EmergencyChanged, tx: Tx) -> None:
    """Something else is done about it."""
    agent = await agents.agent_for_update(tx.db, event.agent_id, event.client_id)
    if agent is None:
        return
    fields = {"emergency_id", "action_taken", "replica_id", "command_id"}
    told = event.model_dump(mode="json", include=fields)
    text = f"The emergency goes on: {event.action_taken}"
    await note(agent, tx, "emergency_changed", text, severity="warning", **told)


async def emergency_closed(event: EmergencyClosed, tx: Tx) -> None:
    """What was done has worked, or come to nothing."""
    if event.outcome == NOTHING_TO_DO:
        return
    agent = await agents.agent_for_update(tx.db, event.agent_id, event.client_id)
    if agent is None:
        return
    told = event.model_dump(mode="json", include={"emergency_id", "outcome"})
    text = f"The emergency is over: {event.outcome}"
    await note(agent, tx, "emergency_closed", text, **told)
