"""GET …/events: an agent's audit trail, as JSON pages or as CSV."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Annotated

from fastapi import Header, Response
from pydantic import BaseModel

from gateway.auth import EVERYONE
from gateway.calls import Ask, Cursor, Limit, OwnAgent
from gateway.routing import open_to, router
from gateway.values import with_example
from spotkeeper_contracts.agents import EventPage, ListEvents, SystemEvent
from spotkeeper_contracts.values import rfc3339

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
    responses={200: {"content": {"text/csv": {"example": ",".join(COLUMNS) + "\r\n"}}}},
)
@open_to(EVERYONE)
async def list_events(
    agent: OwnAgent,
    ask: Ask,
    cursor: Cursor = None,
    limit: Limit = 50,
    accept: Annotated[str, Header(description="text/csv gives CSV.")] = "application/json",
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
    if not prefers_csv(accept):
        body = EventsBody(items=page.items, next_cursor=page.next_cursor)
        return Response(body.model_dump_json(), media_type="application/json")
    headers = {} if page.next_cursor is None else {"X-Next-Cursor": page.next_cursor}
    return Response(csv_of(page.items), headers=headers, media_type="text/csv")


def prefers_csv(accept: str) -> bool:
    """Whether CSV is named, and JSON is not named with more weight."""
    weights = {"text/csv": 0.0, "application/json": 0.0}
    for media_range in accept.split(","):
        name, *parameters = (part.strip().lower() for part in media_range.split(";"))
        quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        if name in weights:
            weights[name] = float(quality) if quality.replace(".", "", 1).isdigit() else 0.0
    return weights["text/csv"] > 0 and weights["text/csv"] >= weights["application/json"]


def csv_of(events: Sequence[SystemEvent]) -> str:
    """The events as RFC 4180 with a header line; no cell can be taken for a formula."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for event in events:
        cells = event.model_dump(mode="json") | {
            "timestamp": rfc3339(event.timestamp),
            "data": json.dumps(event.data),
        }
        writer.writerow([_plain(str(cells[column])) for column in COLUMNS])
    return text.getvalue()


def _plain(cell: str) -> str:
    """OWASP, CSV injection: spreadsheets run cells that begin with one of these."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
