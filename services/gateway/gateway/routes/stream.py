"""GET /api/events/stream: server-sent events, as they pass the bus."""

from typing import Annotated

from fastapi import Header, Request
from starlette.responses import StreamingResponse

from gateway.auth import EVERYONE
from gateway.calls import CurrentCaller, Running
from gateway.events import positions_of
from gateway.routing import open_to, router

_EXAMPLE = """event: AgentRegistered
data: {"specversion": "1.0", "type": "AgentRegistered.v1", "data": {"epoch": 1}}
id: 4.0.0

"""

routes = router("events")


@routes.get(
    "/api/events/stream",
    operation_id="stream_events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"example": _EXAMPLE}}}},
)
@open_to(EVERYONE)
async def stream_events(
    request: Request,
    caller: CurrentCaller,
    gateway: Running,
    last_event_id: Annotated[
        str | None, Header(description="Go on after the event of this id.")
    ] = None,
) -> StreamingResponse:
    """Every event of this client's agents, as CloudEvents in JSON, from now or the given id on."""
    since = None if last_event_id is None else positions_of(last_event_id)
    await gateway.events.begin(caller.client)
    lines = gateway.events.listen(
        caller.client, since, lambda: gateway.admission.identify(request.state.head, EVERYONE)
    )
    return StreamingResponse(
        lines, media_type="text/event-stream", headers={"Cache-Control": "no-cache"}
    )
