"""The matter itself: what a registration means, what a config may be, whose call counts."""

from enum import StrEnum

from spotkeeper_contracts import Refused
from spotkeeper_contracts.commands import Priority, Trigger
from spotkeeper_contracts.configs import AgentConfig, ConfigChange
from spotkeeper_contracts.instances import Instance
from spotkeeper_contracts.values import InstanceStatus, PurchaseMode, canonical_pool

FENCED_FOR_GOOD = frozenset({InstanceStatus.ZOMBIE, InstanceStatus.TERMINATED})

DISABLED_CONFIG = AgentConfig(
    config_version=0,
    enabled=False,
    auto_switch_enabled=False,
    auto_terminate_enabled=False,
    terminate_wait_seconds=0,
    manual_replica_enabled=False,
    replica_count=0,
    decision_engine_active=False,
    min_savings_percent=0.0,
    risk_threshold=0.0,
    max_switches_per_week=0,
    min_pool_duration_hours=0,
    auto_create_replica=False,
    replica_sync_required=False,
    min_sync_percentage=0.0,
)
"""What an instance is told that must not act: nothing but false and zero."""


class Outcome(StrEnum):
    """What becomes of a registration."""

    REGISTERED = "registered"
    REVIVED = "revived"
    UPDATED = "updated"
    PROMOTED = "promoted"
    STANDBY = "standby"
    ZOMBIE_REJECTED = "zombie-rejected"


def outcome_of(
    instance_id: str,
    *,
    primary_id: str | None,
    instance_status: InstanceStatus | None,
    deleted: bool,
    moving: bool,
) -> Outcome:
    """What the registration of a known agent's instance means.

    `primary_id` is the agent's primary, `instance_status` what is known of this instance, and
    `moving` tells that a switch or a replica is under way, whose new instance this may be. Where
    there is no primary, whoever comes first is the one.
    """
    if instance_status in FENCED_FOR_GOOD:
        return Outcome.ZOMBIE_REJECTED
    if deleted:
        return Outcome.REVIVED
    if instance_id == primary_id:
        return Outcome.UPDATED
    if moving and primary_id is not None:
        return Outcome.STANDBY
    return Outcome.PROMOTED


def pool_of(instance: Instance) -> str | None:
    """The pool that an instance is told to lie in, even on demand; else the canonical one."""
    if instance.pool_id is not None:
        return instance.pool_id
    return canonical_pool(instance.mode, instance.instance_type, instance.az)


def assert_may_switch(config: AgentConfig, trigger: Trigger) -> None:
    """The gate of every cost switch; raises `Refused` with 403 if it is closed."""
    by_itself = trigger is Trigger.AUTOMATIC
    if not config.auto_switch_enabled or (by_itself and not config.runs_by_itself):
        raise Refused("AUTO_SWITCH_DISABLED", "Auto-switching is disabled for this agent", 403)
    if not config.enabled:
        raise Refused("AGENT_DISABLED", "The agent is disabled", 403)


def is_there(
    mode: PurchaseMode,
    pool: str | None,
    *,
    current_mode: PurchaseMode,
    current_pool: str | None,
) -> bool:
    """Whether a switch to this mode and pool would lead nowhere; on-demand is one place."""
    if mode is not current_mode:
        return False
    return mode is PurchaseMode.ONDEMAND or pool == current_pool


def priority_of(trigger: Trigger, *, urgent: bool) -> int:
    """How urgent a switch is; an automatic one is only while it flees risk."""
    if trigger is Trigger.EMERGENCY:
        return Priority.EMERGENCY
    if trigger is Trigger.MANUAL:
        return Priority.MANUAL
    return Priority.URGENT if urgent else Priority.NORMAL


def config_after(current: AgentConfig, change: ConfigChange) -> AgentConfig:
    """The config with the change applied and its version raised, or `current` if nothing differs.

    Raises `Refused` if the settings exclude each other.
    """
    return _next_version(current, change.settings())


def config_as(current: AgentConfig, earlier: AgentConfig) -> AgentConfig:
    """The settings of an earlier version as a new one, or `current` if nothing differs.

    Raises `Refused` like `config_after`.
    """
    return _next_version(current, earlier.model_dump(exclude={"config_version"}))


def difference(before: AgentConfig, after: AgentConfig) -> dict[str, object]:
    """The settings of `after` that `before` had otherwise, the version left out."""
    former = before.model_dump()
    return {
        name: value
        for name, value in after.model_dump(exclude={"config_version"}).items()
        if value != former[name]
    }


def may_act(instance_id: str | None, *, primary_id: str | None) -> bool:
    """Whether a call that names this instance speaks for the agent; one that names none does."""
    return instance_id is None or instance_id == primary_id


def _next_version(current: AgentConfig, settings: dict[str, object]) -> AgentConfig:
    changed = current.model_copy(update=settings)
    if changed.auto_switch_enabled and changed.manual_replica_enabled:
        raise Refused(
            "INVALID_CONFIGURATION",
            "auto_switch_enabled and manual_replica_enabled exclude each other",
            400,
        )
    if changed == current:
        return current
    return changed.model_copy(update={"config_version": current.config_version + 1})
