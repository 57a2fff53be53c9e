"""The one way in which every route of the contract is checked, and documented, before it runs.

The order is the contract's: token, role, rate, agent, instance, then the body. A route says who may
call it with `@open_to(…)`; all else follows from its path, its method and its body.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from gateway import errors
from gateway.auth import Audience, Caller
from gateway.bodies import parse_json
from gateway.calls import AskOnce
from gateway.errors import Problem
from gateway.heads import Head
from gateway.heartbeats import NOT_PRIMARY
from gateway.openapi import headers_of_success, problems_of, responses_of, security_of
from gateway.running import Gateway
from gateway.views import KnownAgent
from spotkeeper_contracts import Refused

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def open_to(
    audience: Audience, *problems: Problem, fenced: bool = True, tells: Sequence[str] = ()
) -> Callable[[Endpoint], Endpoint]:
    """Declare who may call a route, and the problems and headers (`tells`) that are its own.

    A fenced route looks at `X-Instance-Id`; one that is not decides for itself.
    """

    def declare(endpoint: Endpoint) -> Endpoint:
        endpoint.__dict__.update(audience=audience, problems=problems, fenced=fenced, tells=tells)
        return endpoint

    return declare


def router(tag: str) -> APIRouter:
    """A router whose routes are all checked here."""
    return APIRouter(tags=[tag], route_class=ContractRoute)


class ContractRoute(APIRoute):
    """A route that admits its caller and finds their agent before it looks at the body."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.audience: Audience = endpoint.__dict__["audience"]
        self.fenced: bool = endpoint.__dict__["fenced"]
        self.repeatable = AskOnce in endpoint.__annotations__.values()
        options["strict_content_type"] = False
        options["openapi_extra"] = {
            **(options.get("openapi_extra") or {}),
            "security": security_of(self.audience),
        }
        super().__init__(path, endpoint, **options)
        own: tuple[Problem, ...] = endpoint.__dict__["problems"]
        self.responses = {
            **responses_of([*problems_of(self, self.audience, fenced=self.fenced), *own]),
            **self.responses,
        }
        tells: Sequence[str] = endpoint.__dict__["tells"]
        self.responses.setdefault(self.status_code or 200, {})
        for status, response in self.responses.items():
            if int(status) < 400:
                response["headers"] = headers_of_success(self, tells, fenced=self.fenced)

    # FastAPI types a coroutine; an awaitable does.
    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """The framework's handler behind the contract's checks."""
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            gateway: Gateway = request.app.state.gateway
            head: Head = request.state.head
            caller = gateway.admission.admit(head, self.audience)
            request.state.caller = caller
            request.state.refused = None
            if "agent_id" in request.path_params:
                await self._find_agent(request, gateway, caller)
            try:
                if self.body_field is not None:
                    request = _JsonRequest(request.scope, request.receive)
                    await request.check(head)
                response = await handle(request)
            except (Refused, RequestValidationError):
                if request.state.refused is not None:  # That was before the body.
                    raise request.state.refused from None
                raise
            agent: KnownAgent | None = request.scope["state"].get("agent")
            if agent is not None:
                agent = gateway.agents.latest(agent)
                response.headers.setdefault("X-Agent-Epoch", str(agent.state.epoch))
                reads = self.fenced and request.method == "GET"
                if reads and not agent.is_primary(head.instance_id):
                    response.headers["X-Outcome"] = NOT_PRIMARY
            return response

        return checked

    async def _find_agent(self, request: Request, gateway: Gateway, caller: Caller) -> None:
        """Put the caller's agent into the request's state; raises `Refused`.

        A call that may be a repeat is not refused yet: only its owner knows if it was accepted.
        """
        head: Head = request.state.head
        agent = await gateway.agents.find(request.path_params["agent_id"], caller)
        if head.names_two_instances:
            raise errors.invalid("x-instance-id", "A call comes from one instance")
        problem = errors.AGENT_DELETED if agent.state.deleted else None
        if problem is None and self.fenced and request.method != "GET":
            agent = await gateway.agents.acting(agent, head.instance_id, caller)
            if not agent.is_primary(head.instance_id):
                problem = errors.NOT_PRIMARY
        request.state.agent = agent
        if problem is None:
            return
        if not (self.repeatable and "idempotency-key" in request.headers):
            raise problem.refused()
        request.state.refused = problem.refused()


class _JsonRequest(Request):
    """A request whose JSON is parsed by the contract's rules."""

    async def check(self, head: Head) -> None:
        """Parse the body; raises `Refused` with 415 or 400."""
        body = await self.body()
        if not body:
            return
        if not head.says_json:
            raise errors.NOT_JSON.refused()
        self._parsed = parse_json(body)

    async def json(self) -> Any:
        """The body as it was parsed."""
        return self._parsed
