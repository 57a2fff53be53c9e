"""What a route may name in its parameters: the gateway, its caller, their agent, and the bus."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header, Path, Query, Request

from chassis import clock
from gateway.auth import Caller
from gateway.errors import COMMAND_NOT_FOUND, REPLICA_NOT_FOUND, Problem
from gateway.running import Gateway
from gateway.values import IN_DIGITS, uuid_of
from gateway.views import KnownAgent
from spotkeeper_contracts import Refused, ids
from spotkeeper_contracts import Request as Question
from spotkeeper_contracts.clients import ClientRequest
from spotkeeper_contracts.values import Text

NamedInstance = Annotated[str | None, Header(description="The instance that the call comes from.")]


class Asking:
    """Asks owners on behalf of one call, and lets the caller read its own writes.

    `request_id` is the same for each repeat under one `Idempotency-Key`, else it is new.
    """

    def __init__(self, request: Request, idempotency_key: str | None) -> None:
        self._gateway: Gateway = request.app.state.gateway
        self._caller: Caller = request.state.caller
        self._state = request.state
        self._traceparent: str | None = request.state.head.traceparent
        self.repeatable = idempotency_key is not None
        self.request_id = (
            clock.new_id()
            if idempotency_key is None
            else ids.request_id(
                self._caller.client, f"{request.method} {_place(request)}", idempotency_key
            )
        )

    async def __call__(self, question: Question, *, timeout_seconds: float | None = None) -> Any:
        """The owner's answer, once the view has seen what it changed.

        Raises `Refused`, `NoAnswer` or `BusUnavailable`, which become responses. A call that was
        refused goes to its owner all the same, which keeps the refusal or knows an earlier answer.
        """
        refused: Refused | None = self._state.refused
        if refused is not None:
            if question.reads_only:
                raise refused
            self._state.refused = None
        reply = await self._gateway.owners.ask(
            question,
            self._caller,
            request_id=None if question.reads_only else self.request_id,
            traceparent=self._traceparent,
            timeout_seconds=timeout_seconds,
            refusal=None if refused is None else refused.refusal,
        )
        if reply.revision is not None and not question.reads_only:
            of_client = isinstance(question, ClientRequest)
            view = self._gateway.client_states if of_client else self._gateway.agent_states
            limit = self._gateway.settings.view_timeout_seconds
            await view.reached(question.key, reply.revision, timeout_seconds=limit)
        return reply

    @property
    def refused(self) -> bool:
        """Whether the next question goes out refused."""
        return self._state.refused is not None

    def refuse(self, refused: Refused) -> None:
        """Refuse this call: at once, or with its question if it may be a repeat."""
        if not self.repeatable:
            raise refused
        self._state.refused = refused


async def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


async def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


async def _own_agent(
    request: Request,
    agent_id: Annotated[
        str, Path(description="The agent's id.", json_schema_extra={"format": "uuid"})
    ],
    x_instance_id: NamedInstance = None,
) -> KnownAgent:
    agent: KnownAgent = request.state.agent
    return agent


async def _command_id(command_id: Annotated[str, Path(description="The command's id.")]) -> UUID:
    return _id(command_id, COMMAND_NOT_FOUND)


async def _replica_id(replica_id: Annotated[str, Path(description="The replica's id.")]) -> UUID:
    return _id(replica_id, REPLICA_NOT_FOUND)


def _id(text: str, problem: Problem) -> UUID:
    """The id in a path; what is none names nothing, so it is not found."""
    id = uuid_of(text)
    if id is None:
        raise problem.refused()
    return id


async def _ask(request: Request) -> Asking:
    return Asking(request, None)


async def _ask_once(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            pattern=r"^[\x21-\x7E]{1,255}$",
            description="The same key, path and body get the same answer for 24 hours at least.",
        ),
    ] = None,
) -> Asking:
    return Asking(request, idempotency_key)


def _place(request: Request) -> str:
    """The path in the one form that all spellings of the ids in it share."""
    return str(request.scope["path"]).lower()


Running = Annotated[Gateway, Depends(_gateway)]
CurrentCaller = Annotated[Caller, Depends(_caller)]
CommandId = Annotated[UUID, Depends(_command_id)]
ReplicaId = Annotated[UUID, Depends(_replica_id)]
OwnAgent = Annotated[KnownAgent, Depends(_own_agent)]
Ask = Annotated[Asking, Depends(_ask)]
AskOnce = Annotated[Asking, Depends(_ask_once)]
Cursor = Annotated[Text | None, Query(description="`next_cursor` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=500, description="Items on one page."), IN_DIGITS]
