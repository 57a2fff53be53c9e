"""Methods: which a path knows, and what one that it does not know is told."""

import pytest

from tests.gateway.conftest import Tenant


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/api/agents/register", "POST"),
        ("/api/admin/models/report", "GET"),
        ("/api/admin/models/shadow", "DELETE"),
        ("/api/admin/models", "GET, POST"),
        ("/api/agents/any", "DELETE, GET"),
        ("/api/agents/any/config", "GET, PATCH"),
        ("/livez", "GET"),
    ],
)
async def test_an_unknown_method_is_told_those_of_the_path_alone(
    tenant: Tenant, path: str, methods: str
) -> None:
    for unknown in ("OPTIONS", "TRACE"):
        answer = await tenant.http.request(unknown, path)
        assert (answer.status_code, answer.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
        assert answer.headers["Allow"] == methods
