"""The public probes, and the documentation: open to everyone, telling of nobody's data."""

import asyncio
import json
from functools import cache
from typing import NamedTuple

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

from gateway.calls import Running
from gateway.openapi import ALWAYS, responses_of
from gateway.reference import page_of
from gateway.values import with_example

routes = APIRouter(tags=["operations"], responses=responses_of(ALWAYS))


class Alive(BaseModel):
    """The gateway lives."""

    model_config = with_example({"alive": True})

    alive: bool


class Readiness(BaseModel):
    """Whether the gateway is ready, and each of its parts."""

    model_config = with_example({"ready": True, "parts": {"producer": "ok", "views": "ok"}})

    ready: bool
    parts: dict[str, str]


@routes.get("/livez", operation_id="livez")
async def livez() -> Alive:
    """Whether the gateway lives; that never depends on the broker."""
    return Alive(alive=True)


@routes.get("/readyz", operation_id="readyz", responses={503: {"model": Readiness}})
async def readyz(gateway: Running, out: Response) -> Readiness:
    """Whether the gateway can serve, with each thing that it depends on."""
    health = gateway.look()
    out.status_code = 200 if health.ready else 503
    return Readiness.model_validate(health.report())


@routes.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """The documentation as a page."""
    return HTMLResponse((await _documentation(request)).page)


@routes.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> Response:
    """The documentation as an OpenAPI document."""
    document = (await _documentation(request)).document
    return Response(document, media_type="application/json")


class _Documentation(NamedTuple):
    document: bytes
    page: bytes


async def _documentation(request: Request) -> _Documentation:
    """Made when first asked for, which takes too long for the event loop, and only once."""
    return await asyncio.to_thread(_documentation_of, request.app)


@cache
def _documentation_of(app: FastAPI) -> _Documentation:
    document = app.openapi()
    return _Documentation(json.dumps(document).encode(), page_of(document).encode())
