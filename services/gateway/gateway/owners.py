"""Asking the owners of state over the bus, in a caller's name."""

from typing import Any
from uuid import UUID

from chassis.asking import Asker
from chassis.producer import BusUnavailable
from gateway.auth import Caller
from spotkeeper_contracts import Refusal, Request


class Owners:
    """Asks, but only while an answer would be heard."""

    def __init__(self, asker: Asker, *, timeout_seconds: float) -> None:
        self._asker = asker
        self._timeout_seconds = timeout_seconds

    async def ask(
        self,
        question: Request,
        caller: Caller,
        *,
        request_id: UUID | None = None,
        traceparent: str | None = None,
        timeout_seconds: float | None = None,
        refusal: Refusal | None = None,
    ) -> Any:
        """The answer, of the type `question.reply`.

        Raises `Refused`, `NoAnswer` or `BusUnavailable`, which all become responses.
        """
        if not self._asker.ready:
            raise BusUnavailable("no answer would be heard")
        return await self._asker.ask(
            question,
            actor=caller.actor,
            client_id=caller.client,
            request_id=request_id,
            traceparent=traceparent,
            timeout_seconds=timeout_seconds or self._timeout_seconds,
            refusal=refusal,
        )
