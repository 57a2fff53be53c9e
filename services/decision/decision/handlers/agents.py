"""What happens to agents: their state, notices of termination, recommendations, switches."""

from datetime import datetime

from chassis.transaction import Tx
from decision.choices import Move
from decision.handlers.found import Known, agent_as_told, known_agent
from decision.handlers.prices import keep_prices_of_switch
from decision.store import contexts, decisions, evidence, pools, switches
from decision.store.evidence import EventKind
from spotkeeper_contracts.agents import AgentState
from spotkeeper_contracts.commands import Trigger
from spotkeeper_contracts.emergencies import EmergencyOpened, EmergencyType, TerminationAction
from spotkeeper_contracts.instances import InstanceTerminated, TerminationReason
from spotkeeper_contracts.switches import SavingsMetered, SwitchCompleted
from spotkeeper_contracts.values import PurchaseMode

NO_ACTION = TerminationAction.NO_ACTION.value
"""Nothing was done: the agent is disabled, or the instance is not its primary."""


async def agent_state(state: AgentState, tx: Tx) -> None:
    """Keep the agent's newest state, and where its instance runs."""
    await agent_as_told(state, tx)


async def emergency_opened(event: EmergencyOpened, tx: Tx) -> None:
    """A notice of termination counts against its pool; a recommendation to leave does not."""
    agent = await known_agent(event.agent_id, event.client_id, tx)
    if agent is None:
        return
    instance_id = event.instance_id or agent.state.instance_id
    if instance_id is None:
        return
    if event.kind is EmergencyType.TERMINATION_NOTICE:
        kind, told = EventKind.NOTICE, {"noticed_instance_id": instance_id, "noticed_at": event.at}
    else:
        kind = EventKind.REBALANCE
        told = {"rebalance_instance_id": instance_id, "rebalance_at": event.at}
    await _note(agent, kind, instance_id, event.at, tx)
    if event.action_taken != NO_ACTION or instance_id == agent.state.instance_id:
        await contexts.change(tx.db, agent.id, **told)


async def instance_terminated(event: InstanceTerminated, tx: Tx) -> None:
    """An instance that AWS took counts against its pool, once; who lived on it has to recover."""
    taken = event.reason is TerminationReason.AWS_TERMINATION
    if not taken or event.mode is not PurchaseMode.SPOT or event.pool_id is None:
        return
    agent = await known_agent(event.agent_id, event.client_id, tx)
    if agent is None:
        return
    await _note(agent, EventKind.NOTICE, event.instance_id, event.at, tx, event.pool_id)
    if event.was_primary:
        await contexts.change(tx.db, agent.id, recovering=True)


async def switch_completed(event: SwitchCompleted, tx: Tx) -> None:
    """Count an executed switch, unless it is a recovery; what the loop had open is closed."""
    agent = await known_agent(event.agent_id, event.client_id, tx)
    if agent is None:
        return
    new = event.new_instance
    kind = await _kind_of(event, agent, tx)
    decision = None
    if event.trigger is Trigger.AUTOMATIC:
        decision = await decisions.last_to(tx.db, agent.id, new.spot_pool, before=event.at)
    await switches.save(
        tx.db,
        switch_id=event.switch_id,
        agent_id=agent.id,
        client_id=agent.client_id,
        trigger=event.trigger.value,
        kind=kind.value,
        decision_id=decision and decision.decision_id,
        model_version=decision and decision.model_version,
        promised_savings_per_hour=decision and decision.expected_savings_per_day / 24.0,
        instance_id=new.instance_id,
        completed_at=event.at,
    )
    await keep_prices_of_switch(event, agent, tx)
    fell = kind is Move.FORCED and new.mode is PurchaseMode.ONDEMAND
    await contexts.change(tx.db, agent.id, recovering=fell)
    await contexts.change(tx.db, agent.id, open_command_id=None, open_until=None)


async def savings_metered(event: SavingsMetered, tx: Tx) -> None:
    """Keep what a switch has brought in money so far."""
    await switches.meter(
        tx.db,
        event.switch_id,
        realised_savings=event.realised_savings,
        hours=event.metered_hours,
    )


async def _kind_of(event: SwitchCompleted, agent: Known, tx: Tx) -> Move:
    """Whether the switch replaced what was taken away, went back to spot after that, or neither."""
    old, new = event.old_instance, event.new_instance
    if event.trigger is Trigger.EMERGENCY:
        return Move.FORCED
    if await evidence.is_noticed(tx.db, agent.client_id, old.instance_id):
        return Move.FORCED
    back = old.mode is PurchaseMode.ONDEMAND and new.mode is PurchaseMode.SPOT
    return Move.RECOVERY if agent.is_recovering and back else Move.PLANNED


async def _note(
    agent: Known,
    kind: EventKind,
    instance_id: str,
    at: datetime,
    tx: Tx,
    pool_id: str | None = None,
) -> None:
    """Keep what happened to an instance in its spot pool; elsewhere it says nothing of a pool."""
    if pool_id is None:
        stay = await evidence.stay_of(tx.db, agent.client_id, instance_id)
        if stay is None:
            return
        group, pool_id = stay["pool_group"], stay["pool_id"]
    else:
        place = agent.place_of(pool_id)
        group = place.group
        await pools.add(tx.db, agent.client_id, {pool_id: place}, at=tx.now)
    await evidence.note(
        tx.db,
        kind,
        client_id=agent.client_id,
        agent_id=agent.id,
        instance_id=instance_id,
        group=group,
        pool_id=pool_id,
        at=at,
    )
    await pools.rate_soon(tx.db, agent.client_id, [group], at=tx.now)
