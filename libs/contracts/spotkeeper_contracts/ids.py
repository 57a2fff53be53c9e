"""Identifiers that follow from what they name, so that a repeat gives the same one."""

from uuid import UUID, uuid5

AGENTS = UUID("6f2b8c6e-0c5e-5d0b-9a3c-3a1f6b1d7a01")
REQUESTS = UUID("6f2b8c6e-0c5e-5d0b-9a3c-3a1f6b1d7a02")
MESSAGES = UUID("6f2b8c6e-0c5e-5d0b-9a3c-3a1f6b1d7a03")


def agent_id(client_id: UUID, logical_agent_id: str) -> UUID:
    """The id of the agent that a client calls by this logical id."""
    return uuid5(AGENTS, f"{client_id}/{logical_agent_id}")


def request_id(client_id: str, place: str, idempotency_key: str) -> UUID:
    """The id of a request that the caller may repeat under one key at one place."""
    return uuid5(REQUESTS, f"{client_id}/{place}/{idempotency_key}")


def derived_id(*parts: object) -> UUID:
    """The id of a message that follows from the parts, such as cause and type."""
    return uuid5(MESSAGES, "/".join(map(str, parts)))
