"""Commands: fetched and reported by agents, listed and taken back by operators."""

from datetime import timedelta
from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import BaseModel, Strict

from chassis import clock
from gateway.auth import AGENTS, EVERYONE, OPERATORS
from gateway.calls import (
    Ask,
    Asking,
    AskOnce,
    CommandId,
    CurrentCaller,
    Cursor,
    Limit,
    NamedInstance,
    OwnAgent,
    Running,
)
from gateway.errors import AGENT_DELETED, ALREADY_FINISHED, COMMAND_NOT_FOUND
from gateway.heartbeats import NOT_PRIMARY
from gateway.routing import open_to, router
from gateway.values import AS_DECIMAL, IN_DIGITS, Done, JsonObject, shown, with_example
from spotkeeper_contracts.commands import (
    CancelCommand,
    Command,
    CommandDetail,
    CommandPage,
    CommandsLeased,
    CommandStatus,
    Execution,
    LeaseCommands,
    ListCommands,
    ReportExecution,
    Seconds,
)
from spotkeeper_contracts.values import Text

CALL_SECONDS = 30.0
"""How long a call may take, its wait included."""

routes = router("commands")

_COMMAND = {
    "command_id": "0192f3a4-5b6c-7d8e-9f00-112233445566",
    "command_type": "switch",
    "target_pool": "us-east-1b-pool-3",
    "target_mode": "spot",
    "priority": 75,
    "created_at": "2024-11-26T10:00:00Z",
    "expires_at": "2024-11-26T11:00:00Z",
    "terminate_wait_seconds": 300,
    "request_id": "0192f3a4-5b6c-7d8e-9f00-112233445567",
    "parameters": {
        "trigger": "manual",
        "replica_id": None,
        "expected_instance_id": "i-1234567890abcdef0",
        "expected_pool": "t3.medium.us-east-1a",
        "max_price": None,
        "not_after": "2024-11-26T11:00:00Z",
        "epoch": 1,
    },
}
_STEP = {
    "status": "queued",
    "at": "2024-11-26T10:00:00Z",
    "actor": "operator:7c9e6679-7425-40de-944b-e07fc1f90ae7",
    "detail": None,
}


class ExecutionBody(BaseModel):
    """What became of a command."""

    model_config = with_example(
        {"status": "success", "message": "switched", "duration_seconds": 74.5}
    )

    status: Execution
    message: Text | None = None
    error: Text | None = None
    duration_seconds: Annotated[Seconds, Strict()] | None = None
    result: JsonObject | None = None


class CommandsBody(BaseModel):
    """Commands with all their lives so far, newest first."""

    model_config = with_example(
        {
            "items": [
                {
                    **_COMMAND,
                    "status": "queued",
                    "reason": "cost_optimization",
                    "confidence": 0.87,
                    "message": None,
                    "error": None,
                    "transitions": [_STEP],
                    "timestamp": "2024-11-26T10:00:00Z",
                }
            ],
            "next_cursor": "MTczMjYxNTIwMC4w",
        }
    )

    items: list[CommandDetail]
    next_cursor: str | None


@routes.get(
    "/api/agents/{agent_id}/pending-commands",
    operation_id="fetch_pending_commands",
    responses={200: {"content": {"application/json": {"example": shown([_COMMAND])}}}},
)
@open_to(AGENTS, fenced=False, tells=("X-Outcome",))
async def fetch_pending_commands(
    request: Request,
    agent: OwnAgent,
    caller: CurrentCaller,
    gateway: Running,
    out: Response,
    wait: Annotated[
        float, Query(ge=0, le=25, description="Seconds to wait if there is none yet."), AS_DECIMAL
    ] = 0,
    limit: Annotated[int, Query(ge=1, le=50, description="Commands at most."), IN_DIGITS] = 50,
    x_instance_id: NamedInstance = None,
) -> list[Command]:
    """Fetch commands, the most urgent first, then the oldest; each is offered again after 60 s.

    An instance that is not the primary gets none, and `X-Outcome: not-primary`.
    """
    start = clock.monotonic()
    while True:
        agent = await gateway.agents.acting(gateway.agents.latest(agent), x_instance_id, caller)
        if not agent.is_primary(x_instance_id):
            out.headers["X-Outcome"] = NOT_PRIMARY
            return []
        seen = gateway.polls.revision(agent.id)
        left = CALL_SECONDS - (clock.monotonic() - start)
        seconds = min(left, gateway.settings.ask_timeout_seconds)
        answer_by = clock.now() + timedelta(seconds=seconds)
        leased: CommandsLeased = await Asking(request, None)(
            LeaseCommands(**agent.as_known, limit=limit, answer_by=answer_by),
            timeout_seconds=seconds,
        )
        if leased.commands:
            return leased.commands
        has_news = await gateway.polls.has_news(
            agent.id, after=seen, until=start + wait, gone=lambda: _gone(request)
        )
        # Much may have changed in the wait: who may not call any more is told so.
        caller = gateway.admission.identify(request.state.head, AGENTS)
        if gateway.agents.latest(agent).state.deleted:
            raise AGENT_DELETED.refused()
        if not has_news:
            return []


@routes.post(
    "/api/agents/{agent_id}/commands/{command_id}/executed", operation_id="report_execution"
)
@open_to(AGENTS, COMMAND_NOT_FOUND, ALREADY_FINISHED)
async def report_execution(
    agent: OwnAgent, command_id: CommandId, body: ExecutionBody, ask: AskOnce
) -> Done:
    """Tell what became of a command; its end is final, and a repeat changes nothing."""
    await ask(
        ReportExecution(
            **agent.as_known,
            command_id=command_id,
            **{n: getattr(body, n) for n in body.model_fields},
        )
    )
    return Done()


@routes.post("/api/agents/{agent_id}/commands/{command_id}/cancel", operation_id="cancel_command")
@open_to(OPERATORS, COMMAND_NOT_FOUND, ALREADY_FINISHED)
async def cancel_command(agent: OwnAgent, command_id: CommandId, ask: AskOnce) -> Done:
    """Take a command back that has not ended."""
    await ask(CancelCommand(**agent.as_known, command_id=command_id))
    return Done()


@routes.get("/api/agents/{agent_id}/commands", operation_id="list_commands")
@open_to(EVERYONE)
async def list_commands(
    agent: OwnAgent,
    ask: Ask,
    status: CommandStatus | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> CommandsBody:
    """The commands of an agent, with each step of their lives, newest first."""
    page: CommandPage = await ask(
        ListCommands(**agent.ids, status=status, cursor=cursor, limit=limit)
    )
    return CommandsBody(items=page.items, next_cursor=page.next_cursor)


async def _gone(request: Request) -> None:
    """Return once the caller has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
