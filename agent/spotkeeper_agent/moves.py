"""How an agent carries out its orders: it moves, prepares replicas, and tells what came of it.

Every launch has the command's id for its client token. So an agent that dies in the middle and gets
the same command again finds the instance that it launched before, and goes on from there.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from spotkeeper_agent import clock
from spotkeeper_agent.api import Failure, Json
from spotkeeper_agent.cleanup import terminate_what_is_left
from spotkeeper_agent.cloud import CloudError, Instance, Launch, UserData, place_of
from spotkeeper_agent.orders import Order, objection, objection_to_price
from spotkeeper_agent.situation import Situation
from spotkeeper_agent.standing import Config

PATIENCE = timedelta(minutes=10)
"""So long after its command has run out, a newcomer still hopes to be made the primary."""

log = logging.getLogger(__name__)


class Failed(Exception):
    """An order that came to nothing; the text says why."""


async def carry_out(command: Mapping[str, Any], here: Situation) -> None:
    """Carry a fetched command out, unless its preconditions hold no more, and report its end.

    Raises `Failure` if the command is none.
    """
    order, began = _order(command), asyncio.get_running_loop().time()
    log.info("%s carries out %s %s", here.name, order.command_type, order.command_id)
    try:
        _assert_holds(order, here)
        ended = await _act(order, here)
    except (Failed, CloudError) as failure:
        log.warning("%s gives %s up: %s", here.name, order.command_id, failure)
        ended = {"status": "failed", "error": str(failure)[:255]}
    if ended is not None:
        seconds = asyncio.get_running_loop().time() - began
        await _report(order, {**ended, "duration_seconds": round(seconds, 3)}, here)


def _order(command: Mapping[str, Any]) -> Order:
    try:
        return Order.of(command)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise Failure(f"not a command of Spotkeeper: {str(command)[:200]}") from error


async def _act(order: Order, here: Situation) -> Json | None:
    """Do what is ordered; what is to be reported of it, unless another report tells it."""
    match order.command_type:
        case "switch":
            await _switch(order, here)
            return None  # Its own report ended the command, and this instance's right to speak.
        case "create_replica":
            return await _create_replica(order, here)
        case "promote_replica":
            await _promote_replica(order, here)
            return None  # As above.
        case "terminate":
            gone = await terminate_what_is_left(here)
            return {"status": "success", "result": {"terminated": gone}}
        case "update_config":
            here.standing.config = Config.of(await here.calls.get("config"))
            version = here.standing.config.version
            return {"status": "success", "result": {"config_version": version}}
        case unknown:
            raise Failed(f"This agent does not know how to {unknown}")


async def _switch(order: Order, here: Situation) -> None:
    """Launch the instance to move to, hand over to it, and tell."""
    here.standing.is_switching = True
    here.beat_due.set()
    try:
        newcomer = _launch(order, here, switch=_draft(order, here))
        ready_at = await _until_ready(newcomer, here)
        stopped_at = asyncio.get_running_loop().time()
        await asyncio.sleep(here.pace.handover_seconds * here.chance.uniform(0.5, 1.5))
        downtime = asyncio.get_running_loop().time() - stopped_at
        report = completed(newcomer, ready_at=ready_at, downtime_seconds=downtime)
        try:
            await here.calls.insist("switch-report", report)
        except Failure as failure:
            here.cloud.terminate(newcomer.instance.instance_id)
            raise Failed(f"The switch was refused: {failure}") from failure
        log.info("%s has moved to %s", here.name, newcomer.instance.instance_id)
    finally:
        here.standing.is_switching = False
        here.doubt()


def completed(newcomer: Launch, *, ready_at: datetime, downtime_seconds: float | None) -> Json:
    """The report of a switch, once the newcomer has taken over."""
    draft = newcomer.user_data.switch
    assert draft is not None, "the newcomer was launched for a switch"
    timing = {
        **draft["timing"],
        "instance_launched_at": newcomer.launched_at.isoformat(),
        "instance_ready_at": ready_at.isoformat(),
    }
    report = {**draft, "new_instance": _told(newcomer.instance), "timing": timing}
    if downtime_seconds is not None:
        report["downtime_seconds"] = round(downtime_seconds, 3)
    return report


async def _create_replica(order: Order, here: Situation) -> Json:
    launch = _launch(order, here, replica_id=order.replica_id)
    instance_id = launch.instance.instance_id
    told = {"status": "syncing", "instance_id": instance_id}
    try:
        await here.calls.insist(f"replicas/{order.replica_id}/status", told)
    except Failure as failure:
        if not _is_further(failure):
            here.cloud.terminate(instance_id)
            raise Failed(f"The replica was refused: {failure}") from failure
    return {"status": "success", "result": {"instance_id": instance_id}}


def _is_further(failure: Failure) -> bool:
    """Whether the replica is beyond `syncing` already, as a repeat may find it."""
    return failure.code == "INVALID_TRANSITION"


async def _promote_replica(order: Order, here: Situation) -> None:
    try:
        await here.calls.insist(
            f"replicas/{order.replica_id}/promote", {"epoch": here.standing.epoch}
        )
    except Failure as failure:
        raise Failed(f"The promotion was refused: {failure}") from failure
    here.doubt()


def _launch(order: Order, here: Situation, **purpose: Any) -> Launch:
    """The instance that the order asks for, launched now or by an earlier try."""
    now = clock.now()
    target = _target(order, here)
    last = order.not_after or now
    give_up_at = (last + PATIENCE).isoformat() if "switch" in purpose else None
    return here.cloud.launch(
        target.instance_type,
        region=target.region,
        az=target.az,
        mode=target.mode,
        client_token=order.command_id,
        user_data=UserData(here.name, give_up_at=give_up_at, **purpose),
        now=now,
    )


def _target(order: Order, here: Situation) -> Instance:
    """Our own instance as it would be where the order wants it."""
    if order.target_pool is None or order.target_mode == "ondemand":
        return replace(here.instance, mode="ondemand")
    instance_type, az, region = place_of(order.target_pool)
    return replace(here.instance, instance_type=instance_type, az=az, region=region, mode="spot")


def _draft(order: Order, here: Situation) -> Json:
    """The report of a switch, as far as it is known before the launch."""
    now, target = clock.now(), _target(order, here)
    old_price, new_price = (_spot_price(here, instance) for instance in (here.instance, target))
    on_demand = here.cloud.price(replace(target, mode="ondemand"), now)
    return {
        "command_id": order.command_id,
        "old_instance": _told(here.instance),
        "pricing": {"old_spot": old_price, "new_spot": new_price, "on_demand": on_demand},
        "timing": {"initiated_at": now.isoformat()},
        "trigger": order.trigger,
    }


async def _until_ready(newcomer: Launch, here: Situation) -> datetime:
    """Wait until the newcomer has booted; raises `Failed` if it ends before."""
    ready_at = here.ready_at(newcomer)
    await asyncio.sleep(max(0.0, (ready_at - clock.now()).total_seconds()))
    if not here.cloud.is_running(newcomer.instance.instance_id):
        raise Failed(f"{newcomer.instance.instance_id} ended before it was ready")
    return ready_at


def _assert_holds(order: Order, here: Situation) -> None:
    """Raise `Failed` if a precondition of the order holds no more."""
    now = clock.now()
    against = objection(order, here.instance, epoch=here.standing.epoch, now=now)
    if against is None and order.max_price is not None:
        against = objection_to_price(order, here.cloud.price(_target(order, here), now))
    if against is not None:
        raise Failed(against)


async def _report(order: Order, ended: Json, here: Situation) -> None:
    try:
        await here.calls.insist(f"commands/{order.command_id}/executed", ended)
    except Failure as failure:
        log.warning("%s cannot report %s: %s", here.name, order.command_id, failure)


def _spot_price(here: Situation, instance: Instance) -> float | None:
    return here.cloud.price(instance, clock.now()) if instance.mode == "spot" else None


def _told(instance: Instance) -> Json:
    wanted = ("instance_id", "instance_type", "mode", "az", "region", "ami_id")
    told = asdict(instance)
    return {**{name: told[name] for name in wanted}, "pool_id": instance.pool_id}
