"""Methods: which a path knows, and what one that it does not know is told."""

import pytest

from tests.gateway.conftest import Tenant


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/api/agents/register", "POST"),
        ("/api/admin/models/report", "GET, HEAD"),
        ("/api/admin/models/shadow", "DELETE"),
        ("/api/admin/models", "GET, HEAD, POST"),
        ("/api/agents/any", "DELETE, GET, HEAD"),
        ("/api/agents/any/config", "GET, HEAD, PATCH"),
        ("/api/agents/any/pending-commands", "GET"),
        ("/api/events/stream", "GET"),
        ("/livez", "GET, HEAD"),
    ],
)
async def test_an_unknown_method_is_told_those_of_the_path_alone(
    tenant: Tenant, path: str, methods: str
) -> None:
    for unknown in ("OPTIONS", "TRACE"):
        answer = await tenant.http.request(unknown, path)
        assert (answer.status_code, answer.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
        assert answer.headers["Allow"] == methods


@pytest.mark.parametrize("place", ["config", "nowhere"])
async def test_head_is_answered_like_get_without_the_body(tenant: Tenant, place: str) -> None:
    path, named = f"{tenant.path}/{place}", {"X-Instance-Id": "i-other"}
    got = await tenant.http.get(path, headers=named)
    answer = await tenant.http.head(path, headers=named)
    assert (answer.status_code, answer.content) == (got.status_code, b"")
    own = {"date", "x-request-id"}
    assert {n: v for n, v in answer.headers.items() if n not in own} == {
        n: v for n, v in got.headers.items() if n not in own
    }
    assert (await tenant.http.get(path)).status_code == got.status_code


async def test_head_needs_a_token_where_get_does(tenant: Tenant) -> None:
    answer = await tenant.http.head(f"{tenant.path}/config", headers={"Authorization": "none"})
    assert (answer.status_code, answer.content) == (401, b"")


@pytest.mark.parametrize("place", ["/api/events/stream", "/api/agents/any/pending-commands"])
async def test_head_neither_fetches_commands_nor_waits_for_events(
    tenant: Tenant, place: str
) -> None:
    assert (await tenant.http.head(place)).status_code == 405
