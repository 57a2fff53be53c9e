"""Where everything is put together: the parts, the routes, and the door in front of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

from chassis.asking import NoAnswer
from chassis.producer import BusUnavailable
from gateway.door import NOT_BY_HEAD, Door
from gateway.errors import METHOD_NOT_ALLOWED, response_to
from gateway.openapi import document_of
from gateway.routes import (
    admin,
    agents,
    commands,
    config,
    decisions,
    emergencies,
    heartbeat,
    history,
    instances,
    models,
    operations,
    registration,
    replicas,
    statistics,
    stream,
    switches,
)
from gateway.running import Gateway
from gateway.views import KnownAgent
from spotkeeper_contracts import Refused

SUBJECTS = (
    registration,
    heartbeat,
    config,
    commands,
    switches,
    instances,
    replicas,
    emergencies,
    decisions,
    statistics,
    stream,
    agents,
    history,
    admin,
    models,
    operations,
)
"""Each serves some paths; a fixed path stands before one with a parameter that would take it."""

EXCEPTIONS = (
    Refused,
    RequestValidationError,
    HTTPException,
    BusUnavailable,
    NoAnswer,
    Exception,
)


def application(gateway: Gateway) -> ASGIApp:
    """The ASGI application of a gateway, which it starts and stops."""
    app = framework(gateway)
    return Door(app, gateway.settings)


def framework(gateway: Gateway | None) -> FastAPI:
    """The routes alone; without a gateway they can be documented but not served."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        assert gateway is not None
        gateway.start()
        yield
        await gateway.stop()

    app = FastAPI(
        lifespan=lifespan, redirect_slashes=False, openapi_url=None, docs_url=None, redoc_url=None
    )
    app.state.gateway = gateway
    for subject in SUBJECTS:
        # Not `include_router`: it matches through a layer that costs a seventh of a request.
        app.router.routes.extend(subject.routes.routes)
    for error in EXCEPTIONS:
        app.add_exception_handler(error, _respond)
    # FastAPI documents this way of giving a document.
    app.openapi = cache(lambda: document_of(app))  # type: ignore[method-assign]
    return app


async def _respond(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == METHOD_NOT_ALLOWED.status:
        error.headers = {"Allow": _methods_of(request)}
    response = response_to(error, request.state.head.request_id)
    agent: KnownAgent | None = request.scope["state"].get("agent")
    if agent is not None:
        response.headers["X-Agent-Epoch"] = str(agent.state.epoch)
    return response


def _methods_of(request: Request) -> str:
    """All methods of a path; the framework itself knows those of one route only.

    Of patterns that match, the first is the path's own: behind it are those with a parameter that
    takes any word.
    """
    path = request.scope["path"]
    matching = [
        route
        for subject in SUBJECTS
        for route in subject.routes.routes
        if isinstance(route, APIRoute) and route.path_regex.match(path)
    ]
    own = (route for route in matching if route.path == matching[0].path)
    found = {method for route in own for method in route.methods or ()}
    if "GET" in found and not path.endswith(NOT_BY_HEAD):
        found.add("HEAD")
    return ", ".join(sorted(found))
