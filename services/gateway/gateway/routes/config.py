"""An agent's config: read from the view, changed by its owner, with every version kept."""

from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import Header, Response
from pydantic import BaseModel, Field, Strict

from gateway.auth import EVERYONE, OPERATORS
from gateway.calls import Ask, AskOnce, Cursor, Limit, OwnAgent
from gateway.errors import INVALID_CONFIGURATION, VERSION_MISMATCH, invalid
from gateway.headers import OF_CONFIG, config_headers, expected_version, matches
from gateway.routing import open_to, router
from gateway.values import with_example
from spotkeeper_contracts.configs import (
    AgentConfig,
    ChangeConfig,
    ConfigAnswer,
    ConfigChange,
    ConfigVersion,
    ListConfigHistory,
    RollbackConfig,
)

routes = router("config")

IfMatch = Annotated[str | None, Header(description="Refuse unless the config is at this version.")]
IfNoneMatch = Annotated[
    str | None, Header(description="Answer 304 if the config is still at this version.")
]
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The config is still at that version."}
}


class ConfigBody(BaseModel):
    """The settings that an agent runs by."""

    model_config = with_example(
        {
            "agent_id": "0f8fad5b-d9cb-569f-a165-70867728950e",
            "enabled": True,
            "auto_switch_enabled": True,
            "manual_replica_enabled": False,
            "auto_terminate_enabled": True,
            "terminate_wait_minutes": 5,
            "emergency_rebalance_only": False,
            "decision_engine_active": True,
            "config_version": 5,
            "min_savings_percent": 15.0,
            "risk_threshold": 0.3,
            "max_switches_per_week": 10,
            "min_pool_duration_hours": 2,
        }
    )

    agent_id: UUID
    enabled: bool
    auto_switch_enabled: bool
    manual_replica_enabled: bool
    auto_terminate_enabled: bool
    terminate_wait_minutes: int
    emergency_rebalance_only: bool
    decision_engine_active: bool
    config_version: int
    min_savings_percent: float
    risk_threshold: float
    max_switches_per_week: int
    min_pool_duration_hours: int

    @classmethod
    def of(cls, agent_id: UUID, config: AgentConfig) -> Self:
        """The thirteen keys out of all settings."""
        minutes = _minutes(config.terminate_wait_seconds)
        return cls(agent_id=agent_id, terminate_wait_minutes=minutes, **config.model_dump())


class ReplicaConfigBody(BaseModel):
    """The settings that concern replicas."""

    model_config = with_example(
        {
            "manual_replica_enabled": True,
            "auto_create_replica": False,
            "preferred_replica_pools": ["us-east-1b-pool-2"],
            "replica_sync_required": True,
            "min_sync_percentage": 95,
        }
    )

    manual_replica_enabled: bool
    auto_create_replica: bool
    preferred_replica_pools: list[str]
    replica_sync_required: bool
    min_sync_percentage: float


class ConfigPatch(ConfigChange):
    """Any settings under any of their names; those left out keep their value.

    `replica_enabled` is another name of `manual_replica_enabled`, and `terminate_wait_minutes`
    tells the same as `terminate_wait_seconds`: whoever gives both must let them agree.
    """

    model_config = with_example({"risk_threshold": 0.2, "terminate_wait_minutes": 10}, strict=True)

    replica_enabled: bool = False
    terminate_wait_minutes: Annotated[int, Field(ge=0, le=1_440)] = 5

    def by_their_own_names(self, current: AgentConfig) -> dict[str, Any]:
        """The given settings as the owner names them; raises `Refused` if two disagree.

        Minutes that are the current seconds, rounded up as they are shown, change nothing.
        """
        named = self.model_dump(exclude_unset=True)
        replicas = named.pop("replica_enabled", None)
        if replicas is not None and named.setdefault("manual_replica_enabled", replicas) != (
            replicas
        ):
            raise invalid("replica_enabled", "Must agree with manual_replica_enabled")
        minutes, now = named.pop("terminate_wait_minutes", None), current.terminate_wait_seconds
        if minutes is None:
            return named
        told = now if minutes == _minutes(now) else minutes * 60
        if minutes != _minutes(named.setdefault("terminate_wait_seconds", told)):
            raise invalid("terminate_wait_minutes", "Must agree with terminate_wait_seconds")
        return named


class RollbackBody(BaseModel):
    """The version to go back to."""

    model_config = with_example({"config_version": 4})

    config_version: Annotated[int, Strict(), Field(ge=1, le=2_147_483_647)]


class ConfigHistoryBody(BaseModel):
    """Versions of a config, newest first."""

    model_config = with_example(
        {
            "items": [
                {
                    "config_version": 2,
                    "config": AgentConfig(config_version=2).model_dump(),
                    "changed_by": "operator:7c9e6679-7425-40de-944b-e07fc1f90ae7",
                    "timestamp": "2024-11-26T10:00:00Z",
                }
            ],
            "next_cursor": "MTczMjYxNTIwMC4w",
        }
    )

    items: list[ConfigVersion]
    next_cursor: str | None


@routes.get(
    "/api/agents/{agent_id}/config",
    operation_id="get_config",
    response_model=ConfigBody,
    responses=NOT_MODIFIED,
)
@open_to(EVERYONE, tells=OF_CONFIG)
async def get_config(agent: OwnAgent, if_none_match: IfNoneMatch = None) -> Response:
    """The config of an agent; agents fetch it when a heartbeat's answer tells of a new version."""
    body = ConfigBody.of(agent.state.agent_id, agent.state.config)
    return _versioned(agent, body, if_none_match)


@routes.get(
    "/api/agents/{agent_id}/replica-config",
    operation_id="get_replica_config",
    response_model=ReplicaConfigBody,
    responses=NOT_MODIFIED,
)
@open_to(EVERYONE, tells=OF_CONFIG)
async def get_replica_config(agent: OwnAgent, if_none_match: IfNoneMatch = None) -> Response:
    """The settings of an agent that concern replicas."""
    body = ReplicaConfigBody(**agent.state.config.model_dump())
    return _versioned(agent, body, if_none_match)


@routes.patch(
    "/api/agents/{agent_id}/config", operation_id="change_config", response_model=ConfigBody
)
@open_to(OPERATORS, INVALID_CONFIGURATION, VERSION_MISMATCH, tells=OF_CONFIG)
async def change_config(
    agent: OwnAgent, patch: ConfigPatch, ask: Ask, if_match: IfMatch = None
) -> Response:
    """Change some settings; each accepted change raises `config_version` by one."""
    state = agent.state
    changed: ConfigAnswer = await ask(
        ChangeConfig(
            agent_id=state.agent_id,
            client_id=state.client_id,
            settings=patch.by_their_own_names(state.config),
            expected_version=expected_version(if_match, state.config.config_version),
        )
    )
    return _changed(agent, changed)


@routes.get(
    "/api/agents/{agent_id}/config/history",
    operation_id="list_config_history",
    response_model=ConfigHistoryBody,
)
@open_to(EVERYONE)
async def list_config_history(
    agent: OwnAgent, ask: Ask, cursor: Cursor = None, limit: Limit = 50
) -> ConfigHistoryBody:
    """The versions of a config, with who made them, newest first."""
    page = await ask(
        ListConfigHistory(
            agent_id=agent.state.agent_id,
            client_id=agent.state.client_id,
            cursor=cursor,
            limit=limit,
        )
    )
    return ConfigHistoryBody(items=page.items, next_cursor=page.next_cursor)


@routes.post(
    "/api/agents/{agent_id}/config/rollback",
    operation_id="roll_back_config",
    response_model=ConfigBody,
)
@open_to(OPERATORS, INVALID_CONFIGURATION, VERSION_MISMATCH, tells=OF_CONFIG)
async def roll_back_config(
    agent: OwnAgent, body: RollbackBody, ask: AskOnce, if_match: IfMatch = None
) -> Response:
    """Give an agent the settings of an earlier version, as a new version."""
    state = agent.state
    changed: ConfigAnswer = await ask(
        RollbackConfig(
            agent_id=state.agent_id,
            client_id=state.client_id,
            config_version=body.config_version,
            expected_version=expected_version(if_match, state.config.config_version),
        )
    )
    return _changed(agent, changed)


def _versioned(agent: OwnAgent, body: BaseModel, if_none_match: str | None) -> Response:
    """The body, or 304 if the caller has this version of it."""
    config = agent.state.config
    headers = config_headers(config, agent.state.epoch)
    if matches(if_none_match, config.config_version):
        return Response(status_code=304, headers=headers)
    return _json(body, headers)


def _changed(agent: OwnAgent, changed: ConfigAnswer) -> Response:
    body = ConfigBody.of(changed.agent_id, changed.config)
    return _json(body, config_headers(changed.config, agent.state.epoch))


def _json(body: BaseModel, headers: dict[str, str]) -> Response:
    return Response(body.model_dump_json(), headers=headers, media_type="application/json")


def _minutes(seconds: int) -> int:
    """Whole minutes that are enough for the seconds."""
    return -(-seconds // 60)
