"""Agents as the gateway knows them: the view of their states, and their ready-made answers."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from chassis.envelope import partition_for
from chassis.view import View
from gateway.auth import Caller
from gateway.errors import AGENT_NOT_FOUND
from gateway.owners import Owners
from gateway.values import uuid_of
from spotkeeper_contracts.agents import AgentAnswer, AgentState, GetAgent
from spotkeeper_contracts.commands import CommandQueue
from spotkeeper_contracts.pools import EngineState

ENGINE_STALE_AFTER = timedelta(seconds=30)
RawHeaders = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class KnownAgent:
    """An agent's state, with the answer that its heartbeats get."""

    state: AgentState
    id: str
    client: str
    partition: int
    answer: bytes
    headers: RawHeaders
    header_lines: bytes

    @property
    def ids(self) -> dict[str, Any]:
        """The fields by which a question names the agent."""
        return {"agent_id": self.state.agent_id, "client_id": self.state.client_id}

    @property
    def as_known(self) -> dict[str, Any]:
        """The same with its state, for an owner that may lag behind."""
        return {**self.ids, "agent": self.state}

    def is_primary(self, instance_id: str | None) -> bool:
        """Whether a call that names this instance (or none) may act for the agent."""
        return instance_id is None or instance_id == self.state.instance_id

    def has_moved_on(self, revision: int | None) -> bool:
        """Whether the agent changed after this revision, which an answer told of.

        An answer given again may be an old one, and must not be followed by what once followed it.
        """
        return revision is not None and self.state.revision > revision


class Agents:
    """Every agent that the view has seen; for one that it has not, the registry is asked."""

    def __init__(
        self,
        states: View[AgentState],
        queues: View[CommandQueue],
        owners: Owners,
    ) -> None:
        self._states = states
        self._queues = queues
        self._owners = owners
        self._known: dict[str, KnownAgent] = {}
        states.on_change.append(lambda key, _old, _new: self._prepare(key))
        queues.on_change.append(lambda key, _old, _new: self._prepare(key))

    async def find(self, agent_id: str, caller: Caller) -> KnownAgent:
        """The caller's agent of this id, a deleted one too; raises `Refused` with 404.

        Another client's agent is not found, as if it did not exist.
        """
        known = self._known.get(agent_id)
        if known is None:  # It may be written in another way, or be new to the view.
            id = uuid_of(agent_id)
            if id is None:
                raise AGENT_NOT_FOUND.refused()
            known = self._known.get(str(id)) or await self.fresh(id, caller)
        if known.client != caller.client:
            raise AGENT_NOT_FOUND.refused()
        return known

    def known(self, agent_id: str, caller: Caller) -> KnownAgent | None:
        """The caller's agent, if the view has it under just this id, and not as deleted."""
        known = self._known.get(agent_id)
        if known is None or known.client != caller.client or known.state.deleted:
            return None
        return known

    def latest(self, agent: KnownAgent) -> KnownAgent:
        """The agent as the view has it by now."""
        return self._known.get(agent.id, agent)

    def of_client(self, client: str) -> list[KnownAgent]:
        """All of a client's agents that the view has, the deleted ones left out."""
        found = self._known.values()
        return [one for one in found if one.client == client and not one.state.deleted]

    async def acting(
        self, agent: KnownAgent, instance_id: str | None, caller: Caller
    ) -> KnownAgent:
        """The agent by which to judge whether this instance may act for it.

        The view may be behind a switch of instances, so nobody is fenced on its word alone.
        """
        if agent.is_primary(instance_id):
            return agent
        return await self.fresh(agent.state.agent_id, caller)

    async def fresh(self, agent_id: UUID, caller: Caller) -> KnownAgent:
        """The agent as its owner knows it now; raises what the owner refuses with."""
        request = GetAgent(agent_id=agent_id, client_id=caller.client_id)
        answer: AgentAnswer = await self._owners.ask(request, caller)
        self._states.put(str(agent_id), answer.state)
        return self._known[str(agent_id)]

    def _prepare(self, key: str) -> None:
        """Make the answer anew, since what it tells has changed."""
        state, queue = self._states.get(key), self._queues.get(key)
        if state is None:
            self._known.pop(key, None)
            return
        version = state.config.config_version
        answer = {
            "success": True,
            "commands_pending": queue is not None and queue.deliverable > 0,
            "config_version": version,
        }
        body = json.dumps(answer, separators=(",", ":")).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"x-config-version", str(version).encode()),
            (b"x-agent-epoch", str(state.epoch).encode()),
        ]
        self._known[key] = KnownAgent(
            state,
            key,
            str(state.client_id),
            partition_for(key),
            body,
            headers,
            b"".join(b"%b: %b\r\n" % header for header in headers),
        )


def working_engines(engines: View[EngineState], now: datetime) -> list[EngineState]:
    """What each decision engine says of itself that was heard of lately."""
    return [one for one in engines.values() if now - one.at <= ENGINE_STALE_AFTER]
