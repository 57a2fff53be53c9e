"""The automatic loop: from a decision to a switch that the registry's gate lets through or not."""

from datetime import timedelta
from uuid import UUID

from chassis.log import get_logger
from chassis.transaction import Tx
from decision import acting, metrics
from decision.handlers.found import Known, known_agent
from decision.records import DEGRADED
from decision.store import contexts, decisions
from spotkeeper_contracts.commands import (
    CommandFinished,
    CommandQueued,
    CommandType,
    Priority,
    Trigger,
    WithdrawSwitch,
)
from spotkeeper_contracts.decisions import DecisionMade, Recommendation
from spotkeeper_contracts.switches import IssueSwitch
from spotkeeper_contracts.values import PurchaseMode

log = get_logger()
REASON_LENGTH = 255


async def decision_made(event: DecisionMade, tx: Tx) -> None:
    """Ask for the switch that was decided, unless too many of the client's agents switch already.

    A switch that an earlier decision asked for is taken back if nobody has fetched it and this one
    wants another, or none; the next decision asks anew. One that was fetched is left to the agent.
    What an instance was told that the agent has left says nothing of what the agent shall do.
    """
    too_old = tx.now - event.at > _freshness(tx)
    if too_old or event.outcome == DEGRADED or not acting.speaks_for_the_agent(event.gates):
        return
    agent = await known_agent(event.agent_id, event.client_id, tx)
    if agent is None or agent.state.deleted or agent.row is None:
        return
    tx.act_alone()
    if agent.row["open_command_id"] is not None:
        target = acting.target_of(event.recommendation, event.target_pool)
        tx.emit(_withdrawal(agent, agent.row["open_command_id"], unless=target))
    if not event.will_auto_execute:
        return
    is_open = agent.row["open_until"] is not None and agent.row["open_until"] > tx.now
    if not event.urgent:
        if is_open:
            return
        fleet = await contexts.fleet_for_update(tx.db, agent.client_id, at=tx.now)
        most = acting.switches_at_once(fleet["agents"], tx.settings.switching_share)
        if fleet["switching"] >= most:
            tx.count(metrics.SWITCHES_HELD_BACK.inc)
            log.info("switch held back", agent_id=str(agent.id), switching=fleet["switching"])
            return
        heard_by = tx.now + timedelta(seconds=tx.settings.issue_pending_seconds)
        await contexts.change(tx.db, agent.id, open_command_id=None, open_until=heard_by)
    tx.count(metrics.SWITCHES_ISSUED.labels(str(event.urgent).lower()).inc)
    tx.emit(
        IssueSwitch(
            agent_id=agent.id,
            client_id=agent.client_id,
            target_pool=event.target_pool,
            target_mode=event.target_mode,
            trigger=Trigger.AUTOMATIC,
            urgent=event.urgent,
            reason=event.reason[:REASON_LENGTH],
            confidence=event.confidence,
            max_price=event.max_price,
            expected_pool=event.current_pool,
        )
    )


async def command_queued(event: CommandQueued, tx: Tx) -> None:
    """A switch of the loop is open until its command has ended, if it is wanted by now.

    Between the decision that asked for it and this, there may be another that it came too late for.
    One that flees risk is not counted as open among those that save money.
    """
    command = event.command
    is_switch = command.command_type is CommandType.SWITCH
    if not is_switch or command.parameters.trigger is not Trigger.AUTOMATIC:
        return
    agent = await known_agent(event.agent_id, event.client_id, tx)
    if agent is None:
        return
    saves_money = command.priority < Priority.URGENT
    await contexts.change(
        tx.db,
        agent.id,
        open_command_id=command.command_id,
        open_until=command.expires_at if saves_money else None,
    )
    since = min(tx.now, command.created_at) - _freshness(tx)
    wanted = await decisions.last_for_the_agent(tx.db, agent.id, agent.client_id, since=since)
    recommendation = wanted.recommendation if wanted else Recommendation.STAY
    target = acting.target_of(recommendation, wanted.target_pool if wanted else None)
    if target != (command.target_mode, command.target_pool):
        tx.act_alone()
        tx.emit(_withdrawal(agent, command.command_id, unless=target))


def _withdrawal(
    agent: Known, command_id: UUID, *, unless: tuple[PurchaseMode | None, str | None]
) -> WithdrawSwitch:
    """Taking back what the agent's queue has of the loop, unless it is what is wanted now."""
    mode, pool_id = unless
    return WithdrawSwitch(
        agent_id=agent.id,
        client_id=agent.client_id,
        agent=agent.state,
        command_id=command_id,
        unless_mode=mode,
        unless_pool=pool_id,
    )


def _freshness(tx: Tx) -> timedelta:
    return timedelta(seconds=tx.settings.decision_fresh_seconds)


async def command_finished(event: CommandFinished, tx: Tx) -> None:
    """The agent's next switch may follow."""
    agent = await known_agent(event.agent_id, event.client_id, tx)
    if agent is None or agent.row is None:
        return
    if agent.row["open_command_id"] == event.command.command_id:
        await contexts.change(tx.db, agent.id, open_command_id=None, open_until=None)
