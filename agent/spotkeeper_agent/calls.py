"""The calls of one agent's instance: in its name, repeated under one key, stopped by a fence."""

import asyncio
import logging
from random import Random

from spotkeeper_agent import api, clock, pauses
from spotkeeper_agent.api import Answer, Api, Failure, Json, Line
from spotkeeper_agent.standing import NOT_PRIMARY, Standing

log = logging.getLogger(__name__)


class Calls:
    """Each names its instance; a no because it is not the primary raises a doubt about that."""

    def __init__(self, api: Api, standing: Standing, instance_id: str, chance: Random) -> None:
        self._api = api
        self._standing = standing
        self._instance_id = instance_id
        self._chance = chance

    async def get(self, place: str, *, wait_seconds: float = 0.0) -> Answer:
        """Read something of the agent; raises `Failure`."""
        line = Line.WAITING if wait_seconds else Line.ACTING
        answer = await self._call(line, "GET", place, None, None, wait_seconds)
        if answer.outcome == NOT_PRIMARY:
            self._standing.is_doubted = True
        return answer

    async def post(self, place: str, body: Json) -> Answer:
        """Tell something once; raises `Failure`."""
        return await self._call(Line.ACTING, "POST", place, body, clock.new_key())

    async def beat(self, body: Json) -> Answer:
        """Tell that the agent lives; raises `Failure`."""
        return await self._call(Line.LIVING, "POST", "heartbeat", body)

    async def insist(self, place: str, body: Json) -> Answer:
        """Tell something until it is answered, always under the same key.

        Raises `Failure` only if it is refused.
        """
        key, failures = clock.new_key(), 0
        while True:
            try:
                return await self._call(Line.ACTING, "POST", place, body, key)
            except Failure as failure:
                if failure.is_refusal:
                    raise
                failures += 1
                if failures == 1:
                    log.warning("%s tells %s again: %s", self._instance_id, place, failure)
                asked = failure.retry_after_seconds
                pause = pauses.until_next_try(failures, asked, self._chance)
            await asyncio.sleep(pause)

    async def _call(
        self,
        line: Line,
        method: str,
        place: str,
        body: Json | None,
        key: str | None = None,
        wait_seconds: float = 0.0,
    ) -> Answer:
        headers = {"X-Instance-Id": self._instance_id}
        if key is not None:
            headers["Idempotency-Key"] = key
        path = f"/api/agents/{self._standing.agent_id}/{place}"
        try:
            return await self._api.call(
                line, method, path, body, headers=headers, wait_seconds=wait_seconds
            )
        except Failure as failure:
            if failure.code == api.NOT_PRIMARY:
                self._standing.is_doubted = True
            raise
