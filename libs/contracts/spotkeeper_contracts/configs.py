"""An agent's config: its settings with defaults and limits, and the requests that change it."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from spotkeeper_contracts.message import Message, Reply, Request, Value
from spotkeeper_contracts.topics import AGENT_EVENTS, REGISTRY_REQUESTS
from spotkeeper_contracts.values import (
    Actor,
    Count,
    Percent,
    PoolId,
    Probability,
    Timestamp,
    WaitSeconds,
)

PreferredPools = Annotated[list[PoolId], Field(max_length=50)]


class AgentConfig(Value):
    """All settings of one agent; each accepted change raises `config_version` by one."""

    config_version: int = 1
    enabled: bool = True
    auto_switch_enabled: bool = True
    auto_terminate_enabled: bool = True
    terminate_wait_seconds: WaitSeconds = 300
    manual_replica_enabled: bool = False
    replica_count: Count = 0
    emergency_rebalance_only: bool = False
    decision_engine_active: bool = True
    min_savings_percent: Percent = 15.0
    risk_threshold: Probability = 0.30
    max_switches_per_week: Count = 10
    min_pool_duration_hours: Count = 2
    auto_create_replica: bool = True
    preferred_replica_pools: PreferredPools = Field(default=[])
    replica_sync_required: bool = True
    min_sync_percentage: Percent = 95.0

    @property
    def runs_by_itself(self) -> bool:
        """Whether the automatic loop may move the agent, where switching is on at all."""
        return self.decision_engine_active and not self.emergency_rebalance_only


class ConfigChange(Value):
    """Some settings to change; those left out keep their value, and null is refused."""

    enabled: bool = True
    auto_switch_enabled: bool = True
    auto_terminate_enabled: bool = True
    terminate_wait_seconds: WaitSeconds = 300
    manual_replica_enabled: bool = False
    replica_count: Count = 0
    emergency_rebalance_only: bool = False
    decision_engine_active: bool = True
    min_savings_percent: Percent = 15.0
    risk_threshold: Probability = 0.30
    max_switches_per_week: Count = 10
    min_pool_duration_hours: Count = 2
    auto_create_replica: bool = True
    preferred_replica_pools: PreferredPools = Field(default=[])
    replica_sync_required: bool = True
    min_sync_percentage: Percent = 95.0

    def settings(self) -> dict[str, object]:
        """The settings that the change names, by field."""
        return self.model_dump(exclude_unset=True)


class ConfigAnswer(Reply):
    """The config as it stands now."""

    agent_id: UUID
    config: AgentConfig


class ChangeConfig(Request, topic=REGISTRY_REQUESTS, reply=ConfigAnswer):
    """Change some settings of one agent.

    `settings` holds the named fields only, already checked as a `ConfigChange`.
    """

    agent_id: UUID
    client_id: UUID
    settings: dict[str, bool | int | float | list[str]]
    expected_version: int | None = None

    @property
    def change(self) -> ConfigChange:
        """The settings as a checked change."""
        return ConfigChange.model_validate(self.settings)


class RollbackConfig(Request, topic=REGISTRY_REQUESTS, reply=ConfigAnswer):
    """Give an agent the settings of an earlier version, as a new version."""

    context: ClassVar[frozenset[str]] = frozenset({"expected_version"})

    agent_id: UUID
    client_id: UUID
    config_version: int
    expected_version: int | None = None


class ConfigVersion(Value):
    """One version in an agent's config history."""

    config_version: int
    config: AgentConfig
    changed_by: Actor
    timestamp: Timestamp


class ConfigHistoryPage(Reply):
    """Versions of a config, newest first."""

    items: list[ConfigVersion]
    next_cursor: str | None = None


class ListConfigHistory(Request, topic=REGISTRY_REQUESTS, reply=ConfigHistoryPage, reads_only=True):
    """The versions of an agent's config."""

    agent_id: UUID
    client_id: UUID
    cursor: str | None = None
    limit: int = 50


class AgentConfigChanged(Message, topic=AGENT_EVENTS):
    """An agent's config has a new version."""

    agent_id: UUID
    client_id: UUID
    config: AgentConfig
    changed_by: Actor
    at: Timestamp
