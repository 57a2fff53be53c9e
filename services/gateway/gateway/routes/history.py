"""GET …/events: an agent's audit trail, as JSON pages or as CSV."""

from fastapi import Response
from pydantic import BaseModel

from gateway.auth import EVERYONE
from gateway.calls import Ask, Cursor, Limit, OwnAgent
from gateway.lists import AS_JSON, Accept, in_csv_too, page_response
from gateway.routing import open_to, router
from gateway.values import with_example
from spotkeeper_contracts.agents import EventPage, ListEvents, SystemEvent

COLUMNS = ("event_id", "timestamp", "event_type", "severity", "actor", "message", "data")

routes = router("agents")


class EventsBody(BaseModel):
    """Lines of an audit trail, newest first."""

    model_config = with_example(
        {
            "items": [
                {
                    "event_id": "0192f3a4-5b6c-7d8e-9f00-112233445566",
                    "event_type": "agent_registered",
                    "severity": "info",
                    "message": "Agent agent-hostname-123 registered",
                    "actor": "agent:7c9e6679-7425-40de-944b-e07fc1f90ae7",
                    "data": {"instance_id": "i-1234567890abcdef0"},
                    "timestamp": "2024-11-26T10:00:00Z",
                }
            ],
            "next_cursor": "MTczMjYxNTIwMC4w",
        }
    )

    items: list[SystemEvent]
    next_cursor: str | None


@routes.get(
    "/api/agents/{agent_id}/events",
    operation_id="list_events",
    response_model=EventsBody,
    responses=in_csv_too(COLUMNS),
)
@open_to(EVERYONE, tells=("X-Next-Cursor",))
async def list_events(
    agent: OwnAgent,
    ask: Ask,
    cursor: Cursor = None,
    limit: Limit = 50,
    accept: Accept = AS_JSON,
) -> Response:
    """What happened to an agent, newest first; in CSV, `X-Next-Cursor` leads to the next page."""
    page: EventPage = await ask(
        ListEvents(
            agent_id=agent.state.agent_id,
            client_id=agent.state.client_id,
            cursor=cursor,
            limit=limit,
        )
    )
    return page_response(accept, EventsBody, page, COLUMNS)
