"""Registration: a new agent, a repeat, a take-over, a revival, a newcomer, a zombie."""

from datetime import datetime
from typing import Any

from chassis.transaction import Tx
from registry import rules
from registry.handlers.telling import config_changed, note, publish_state
from registry.rules import Outcome
from registry.store import clients, configs, instances, moves
from registry.store import registration as store
from registry.store.states import Row, config_of
from spotkeeper_contracts import Refused
from spotkeeper_contracts.agents import (
    AgentPromoted,
    AgentRegistered,
    AgentRegistration,
    AgentUpdated,
    RegisterAgent,
    Registration,
    RegistrationRejected,
)
from spotkeeper_contracts.configs import AgentConfig
from spotkeeper_contracts.instances import Instance
from spotkeeper_contracts.presence import FirstBeat
from spotkeeper_contracts.values import AgentStatus, InstanceStatus, canonical_pool

_TOLD_BY_A_BEAT = ("client_id", "instance_id", "current_mode", "current_pool_id", "agent_version")


async def register_agent(request: RegisterAgent, tx: Tx) -> AgentRegistration:
    """Make an agent known, or settle what the registration of a known one means."""
    agent = await _known(request, tx)
    if agent is None or agent["deleted_at"] is not None:
        await _refuse_for_a_deleted_client(request, tx)
    if agent is None:
        return await _register(request, tx)
    return await _settle(request, agent, tx)


async def _refuse_for_a_deleted_client(request: RegisterAgent, tx: Tx) -> None:
    """Of an agent that comes to life, its client's deletion knows, or it knows of the deletion."""
    if await clients.is_deleted(tx.db, request.client_id):
        raise Refused("TOKEN_REVOKED", "The token was revoked", 401)


async def _settle(request: RegisterAgent, agent: Row, tx: Tx) -> AgentRegistration:
    """Do what the registration of a known agent means."""
    match rules.outcome_of(
        request.registration.instance_id,
        primary_id=agent["instance_id"],
        instance_status=agent["instance_status"],
        deleted=agent["deleted_at"] is not None,
        moving=agent["moving"],
    ):
        case Outcome.ZOMBIE_REJECTED:
            return await _reject(request, agent, tx)
        case Outcome.STANDBY:
            return await _stand_by(request, agent, tx)
        case Outcome.UPDATED:
            return await _update(request, agent, tx)
        case Outcome.REVIVED:
            return await _revive(request, agent, tx)
        case _:
            return await _promote(request, agent, tx)


async def _register(request: RegisterAgent, tx: Tx) -> AgentRegistration:
    agent = await store.insert_agent(tx.db, _new_agent(request, tx.now), AgentConfig(), by=tx.actor)
    if agent is None:  # Somebody else inserted it at the same time, so it is a known one now.
        agent = await _known(request, tx)
        assert agent is not None, "an agent is never removed"
        return await _settle(request, agent, tx)
    text = f"Agent {agent['logical_agent_id']} registered"
    await note(agent, tx, "agent_registered", text, notify=True, **_instance(request))
    tx.emit(_registered(request, tx, epoch=1, revived=False))
    return _accepted(Outcome.REGISTERED, agent, tx)


async def _revive(request: RegisterAgent, former: Row, tx: Tx) -> AgentRegistration:
    version = former["config_version"] + 1
    config = AgentConfig(config_version=version)
    epoch = former["epoch"] + 1
    await configs.save(tx.db, former, config, by=tx.actor, at=tx.now)
    await moves.close_all(tx.db, request.agent_id)
    await _make_primary(request, former, tx)
    settled = _settled(request.registration, epoch=epoch, registered_at=tx.now, at=tx.now)
    agent = await store.settle(tx.db, request.agent_id, settled)
    text = f"Agent {agent['logical_agent_id']}, once deleted, came back"
    await note(agent, tx, "agent_revived", text, notify=True, **_instance(request))
    tx.emit(_registered(request, tx, epoch=epoch, revived=True))
    tx.emit(config_changed(agent, config, tx))
    return _accepted(Outcome.REVIVED, agent, tx)


async def _update(request: RegisterAgent, former: Row, tx: Tx) -> AgentRegistration:
    await _keep_instance(request, former, InstanceStatus.PRIMARY, tx)
    settled = _settled(
        request.registration,
        epoch=former["epoch"],
        registered_at=former["registered_at"],
        at=tx.now,
    )
    agent = await store.settle(tx.db, request.agent_id, settled)
    text = f"Agent {agent['logical_agent_id']} registered again"
    await note(agent, tx, "agent_updated", text, **_instance(request))
    tx.emit(_updated(request, tx))
    return _accepted(Outcome.UPDATED, agent, tx)


async def _promote(request: RegisterAgent, former: Row, tx: Tx) -> AgentRegistration:
    epoch, previous = former["epoch"] + 1, former["instance_id"]
    if previous is None:  # What was under way was meant for the instance that is gone.
        await moves.close_switches(tx.db, request.agent_id)
    await _make_primary(request, former, tx)
    settled = _settled(
        request.registration, epoch=epoch, registered_at=former["registered_at"], at=tx.now
    )
    agent = await store.settle(tx.db, request.agent_id, settled)
    name, instance_id = request.registration.logical_agent_id, request.registration.instance_id
    text = f"Instance {instance_id} took over as primary of agent {name}"
    await note(
        agent, tx, "instance_promoted", text, notify=True, former=previous, **_instance(request)
    )
    tx.emit(_updated(request, tx))
    tx.emit(
        AgentPromoted(
            agent_id=request.agent_id,
            client_id=request.client_id,
            instance_id=instance_id,
            previous_instance_id=previous,
            previous_instance_status=previous and InstanceStatus.SUPERSEDED,
            epoch=epoch,
            at=tx.now,
        )
    )
    return _accepted(Outcome.PROMOTED, agent, tx)


async def _stand_by(request: RegisterAgent, agent: Row, tx: Tx) -> AgentRegistration:
    await _keep_instance(request, agent, InstanceStatus.STANDBY, tx)
    instance_id = request.registration.instance_id
    text = f"Instance {instance_id} stands by until the switch or the promotion is reported"
    await note(agent, tx, "instance_stands_by", text, **_instance(request))
    return _answer(Outcome.STANDBY, agent, None)


async def _reject(request: RegisterAgent, agent: Row, tx: Tx) -> AgentRegistration:
    instance_id, status = request.registration.instance_id, agent["instance_status"]
    text = f"Instance {instance_id} is {status}: its registration was rejected"
    await note(agent, tx, "registration_rejected", text, severity="warning", **_instance(request))
    tx.emit(
        RegistrationRejected(
            agent_id=request.agent_id,
            client_id=request.client_id,
            instance_id=instance_id,
            instance_status=status,
            at=tx.now,
        )
    )
    return _answer(Outcome.ZOMBIE_REJECTED, agent, None)


async def _known(request: RegisterAgent, tx: Tx) -> Row | None:
    return await store.agent_for_registration(
        tx.db,
        request.agent_id,
        request.client_id,
        request.registration.instance_id,
        at=tx.now,
    )


async def _make_primary(request: RegisterAgent, agent: Row, tx: Tx) -> None:
    """Fence the former primary first, since there can be only one."""
    await instances.demote_primary(
        tx.db,
        request.agent_id,
        InstanceStatus.SUPERSEDED,
        for_instance_id=request.registration.instance_id,
        at=tx.now,
    )
    await _keep_instance(request, agent, InstanceStatus.PRIMARY, tx)


async def _keep_instance(
    request: RegisterAgent, agent: Row, status: InstanceStatus, tx: Tx
) -> None:
    told = request.registration
    instance = Instance(
        instance_id=told.instance_id,
        instance_type=told.instance_type,
        mode=told.mode,
        pool_id=canonical_pool(told.mode, told.instance_type, told.az),
        az=told.az,
        region=told.region,
    )
    await instances.save(tx.db, agent, instance, status, at=tx.now)


def _new_agent(request: RegisterAgent, at: datetime) -> Row:
    return {
        "id": request.agent_id,
        "client_id": request.client_id,
        "logical_agent_id": request.registration.logical_agent_id,
        "revision": 1,
        **_settled(request.registration, epoch=1, registered_at=at, at=at),
    }


def _settled(
    registration: Registration, *, epoch: int, registered_at: datetime, at: datetime
) -> dict[str, Any]:
    """The agent's columns as an accepted registration leaves them: it lives, and here."""
    mode, instance_type, az = registration.mode, registration.instance_type, registration.az
    return {
        "epoch": epoch,
        "status": AgentStatus.ONLINE.value,
        "status_at": at,
        "instance_id": registration.instance_id,
        "instance_type": instance_type,
        "region": registration.region,
        "az": az,
        "current_mode": mode.value,
        "current_pool_id": canonical_pool(mode, instance_type, az),
        "placed_at": at,
        "hostname": registration.hostname,
        "ami_id": registration.ami_id,
        "agent_version": registration.agent_version,
        "private_ip": registration.private_ip,
        "public_ip": registration.public_ip,
        "last_heartbeat_at": at,
        "registered_at": registered_at,
        "deleted_at": None,
    }


def _instance(request: RegisterAgent) -> dict[str, Any]:
    wanted = {"instance_id", "instance_type", "az", "mode"}
    return request.registration.model_dump(mode="json", include=wanted)


def _registered(request: RegisterAgent, tx: Tx, *, epoch: int, revived: bool) -> AgentRegistered:
    return AgentRegistered(
        agent_id=request.agent_id,
        client_id=request.client_id,
        registration=request.registration,
        revived=revived,
        epoch=epoch,
        at=tx.now,
    )


def _updated(request: RegisterAgent, tx: Tx) -> AgentUpdated:
    return AgentUpdated(
        agent_id=request.agent_id,
        client_id=request.client_id,
        registration=request.registration,
        at=tx.now,
    )


def _accepted(outcome: Outcome, agent: Row, tx: Tx) -> AgentRegistration:
    """The reply. The agent is said to live, so a beat goes with that: from then on it is missed."""
    revision = publish_state(agent, tx)
    tx.emit(FirstBeat(agent_id=agent["id"], **{name: agent[name] for name in _TOLD_BY_A_BEAT}))
    return _answer(outcome, agent, revision)


def _answer(outcome: Outcome, agent: Row, revision: int | None) -> AgentRegistration:
    """The reply; whoever may not act is told a config of nothing but false and zero."""
    is_fenced = outcome in (Outcome.STANDBY, Outcome.ZOMBIE_REJECTED)
    return AgentRegistration(
        agent_id=agent["id"],
        client_id=agent["client_id"],
        outcome=outcome.value,
        epoch=agent["epoch"],
        config=rules.DISABLED_CONFIG if is_fenced else config_of(agent),
        revision=revision,
    )
