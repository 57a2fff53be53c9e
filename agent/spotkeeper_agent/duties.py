"""What an agent does by itself, each duty in its own time, beside beating and carrying out orders.

The primary looks for announcements of AWS, terminates what is left behind, tells the prices that
it sees, and asks for a decision. A standby tells how far it is, and ends itself if nobody wants it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from spotkeeper_agent import clock, pauses
from spotkeeper_agent.api import Failure, Json
from spotkeeper_agent.cleanup import terminate_what_is_left
from spotkeeper_agent.market import NOTICE, pool_id, zones_of
from spotkeeper_agent.moves import completed
from spotkeeper_agent.situation import Situation
from spotkeeper_agent.standing import Phase

SECONDS_PER_HOUR = 3600
WHOLE_PERCENT = 100.0

log = logging.getLogger(__name__)


class Duties:
    """The duties of one instance, with what it has said already."""

    def __init__(self, here: Situation) -> None:
        self._here = here
        self._said: set[tuple[str, datetime]] = set()
        self._replica_ended = False
        self._is_synced = False

    async def do(self) -> None:
        """Do each duty in its time, for ever; none waits for another that gets no answer."""
        pace = self._here.pace
        async with asyncio.TaskGroup() as duties:
            duties.create_task(self._repeat(self._look, pace.look_seconds))
            duties.create_task(self._repeat(self._clean, pace.clean_seconds))
            duties.create_task(self._repeat(self._decide, pace.decide_seconds))

    async def _repeat(self, act: Callable[[], Awaitable[None]], seconds: float) -> None:
        """Do one duty again and again; after a failure soon."""
        chance, failures = self._here.chance, 0
        pause = pauses.until_first_beat(seconds, chance)
        while True:
            await asyncio.sleep(pause)
            try:
                await act()
                failures, pause = 0, pauses.until_next_beat(seconds, chance)
            except Failure as failure:
                failures += 1
                if failures == 1:
                    log.warning("%s has no answer to a duty: %s", self._here.name, failure)
                asked = failure.retry_after_seconds
                pause = pauses.until_next_try(failures, asked, chance)

    async def _look(self) -> None:
        """See what AWS announces to this instance, and what a standby has to do."""
        standing = self._here.standing
        if standing.phase is Phase.STANDBY:
            await self._stand_by()
        if not standing.may_act:
            return
        now, instance_id = clock.now(), self._here.instance.instance_id
        announced = self._here.cloud.announced(instance_id, now)
        if announced.rebalance_at is not None:
            at = announced.rebalance_at
            body = {"instance_id": instance_id, "recommendation_time": at.isoformat()}
            await self._say_once("rebalance-recommendation", at, body)
        if announced.notice_at is not None:
            at = announced.notice_at
            body = {
                "instance_id": instance_id,
                "termination_time": (at + NOTICE).isoformat(),
                "notice_time": at.isoformat(),
            }
            await self._say_once("termination-imminent", at, body)

    async def _say_once(self, place: str, at: datetime, body: Json) -> None:
        if (place, at) in self._said:
            return
        answer = await self._here.calls.insist(place, body)
        self._said.add((place, at))
        action = answer.told("action_taken")
        log.warning("%s said %s and is answered %s", self._here.name, place, action)
        if action == "replica_promoted":
            self._here.doubt()
        self._here.orders_due.set()

    async def _clean(self) -> None:
        if self._here.standing.may_act:
            await terminate_what_is_left(self._here)

    async def _decide(self) -> None:
        """Tell the prices of the pools around, and ask what to do; a command may follow."""
        if not self._here.standing.may_act:
            return
        instance, now = self._here.instance, clock.now()
        pools = self._pools(now)
        ondemand = self._here.cloud.price(replace(instance, mode="ondemand"), now)
        told = [{**pool, "timestamp": now.isoformat()} for pool in pools]
        await self._here.calls.post(
            "pricing-report",
            {
                "instance_id": instance.instance_id,
                "instance_type": instance.instance_type,
                "region": instance.region,
                "spot_prices": told,
                "on_demand_price": ondemand,
            },
        )
        uptime = now - self._here.launch.launched_at
        current = {
            "instance_id": instance.instance_id,
            "instance_type": instance.instance_type,
            "current_mode": instance.mode,
            "current_pool": instance.pool_id,
            "current_price": self._here.cloud.price(instance, now),
        }
        available = [{"pool_id": pool["pool_id"], "price": pool["price"]} for pool in pools]
        metrics = {
            "uptime_hours": round(uptime.total_seconds() / SECONDS_PER_HOUR, 4),
            "interruption_count": self._here.cloud.interruptions(self._here.name),
        }
        answer = await self._here.calls.post(
            "decide",
            {
                "current_state": current,
                "pricing_data": {"available_pools": available, "ondemand_price": ondemand},
                "metrics": metrics,
            },
        )
        log.debug("%s is to %s", self._here.name, answer.told("recommendation"))

    def _pools(self, now: datetime) -> list[dict[str, Any]]:
        """The spot pools of our instance type in our region, with their prices."""
        instance = self._here.instance
        return [
            {
                "pool_id": pool_id(instance.instance_type, az),
                "az": az,
                "price": self._here.cloud.price(replace(instance, az=az, mode="spot"), now),
            }
            for az in zones_of(instance.region)
        ]

    async def _stand_by(self) -> None:
        launch, cloud = self._here.launch, self._here.cloud
        told, now = launch.user_data, clock.now()
        if told.replica_id is not None and not self._replica_ended:
            await self._tell_sync(told.replica_id, now)
        if told.switch is None:
            return
        if not cloud.is_running(told.switch["old_instance"]["instance_id"]):
            ready_at = self._here.ready_at(launch)  # Nobody else is left to tell of the switch.
            report = completed(launch, ready_at=ready_at, downtime_seconds=None)
            await self._here.calls.insist("switch-report", report)
            self._here.beat_due.set()
        elif told.give_up_at is not None and now > datetime.fromisoformat(told.give_up_at):
            log.warning("%s on %s is wanted by nobody", told.name, launch.instance.instance_id)
            cloud.terminate(launch.instance.instance_id)

    async def _tell_sync(self, replica_id: str, now: datetime) -> None:
        """Tell how much of the primary's data has come over, or that AWS takes the instance."""
        instance_id = self._here.instance.instance_id
        place = f"replicas/{replica_id}"
        since = (now - self._here.ready_at(self._here.launch)).total_seconds()
        done = min(WHOLE_PERCENT, max(0.0, since / self._here.pace.sync_seconds * WHOLE_PERCENT))
        try:
            if self._here.cloud.announced(instance_id, now).notice_at is not None:
                text = "AWS ends the instance"
                lost = {"status": "failed", "instance_id": instance_id, "error": text}
                await self._here.calls.insist(f"{place}/status", lost)
                self._replica_ended = True
            if self._replica_ended or self._is_synced:
                return
            synced = {"sync_percentage": round(done, 1)}
            await self._here.calls.post(f"{place}/sync-status", synced)
            if done >= WHOLE_PERCENT:
                ready = {"status": "ready", "instance_id": instance_id}
                await self._here.calls.post(f"{place}/status", ready)
                self._is_synced = True
        except Failure as failure:
            if not failure.is_refusal:
                raise
            self._replica_ended = failure.code == "REPLICA_ENDED" or failure.status == 404
