"""Configs: changed, given back an earlier version, and their history."""

import re

from chassis.pages import fitting, not_a_cursor
from chassis.transaction import Tx
from registry import rules
from registry.handlers.found import agent_of, agent_to_change
from registry.handlers.telling import config_changed, note, publish_state
from registry.store import configs as store
from registry.store.states import Row, config_of
from spotkeeper_contracts import Refused
from spotkeeper_contracts.configs import (
    AgentConfig,
    ChangeConfig,
    ConfigAnswer,
    ConfigHistoryPage,
    ConfigVersion,
    ListConfigHistory,
    RollbackConfig,
)


async def change_config(request: ChangeConfig, tx: Tx) -> ConfigAnswer:
    """Change some settings; each change that makes a difference is a new version."""
    agent, current = await _to_change(request, tx)
    changed = rules.config_after(current, request.change)
    return await _take_effect(agent, current, changed, tx)


async def rollback_config(request: RollbackConfig, tx: Tx) -> ConfigAnswer:
    """Give the settings of an earlier version to a new one."""
    agent, current = await _to_change(request, tx)
    earlier = await store.version(tx.db, request.agent_id, request.config_version)
    if earlier is None:
        raise Refused("NOT_FOUND", f"The config has no version {request.config_version}", 404)
    changed = rules.config_as(current, earlier)
    return await _take_effect(agent, current, changed, tx)


async def list_config_history(request: ListConfigHistory, tx: Tx) -> ConfigHistoryPage:
    """A page of versions, newest first."""
    await agent_of(request, tx)
    before = _version_before(request.cursor)
    rows = await store.history(tx.db, request.agent_id, before=before, limit=request.limit + 1)
    versions = fitting(
        [
            ConfigVersion(
                config_version=row["config_version"],
                config=config_of(row),
                changed_by=row["changed_by"],
                timestamp=row["changed_at"],
            )
            for row in rows[: request.limit]
        ]
    )
    is_cut = len(rows) > len(versions)
    return ConfigHistoryPage(
        items=versions, next_cursor=str(versions[-1].config_version) if is_cut else None
    )


def _version_before(cursor: str | None) -> int | None:
    """The version that a cursor names; raises `Refused` with 400 if it is none of ours."""
    if cursor is None:
        return None
    if not re.fullmatch("[1-9][0-9]{0,8}", cursor):
        raise not_a_cursor()
    return int(cursor)


async def _to_change(request: ChangeConfig | RollbackConfig, tx: Tx) -> tuple[Row, AgentConfig]:
    """The agent, locked, and its config, if that is at the version the caller knows."""
    agent = await agent_to_change(request, tx)
    current = config_of(agent)
    if request.expected_version not in (None, current.config_version):
        raise Refused("VERSION_MISMATCH", f"The config is at version {current.config_version}", 412)
    return agent, current


async def _take_effect(
    agent: Row, current: AgentConfig, changed: AgentConfig, tx: Tx
) -> ConfigAnswer:
    agent_id = agent["id"]
    if changed == current:
        return ConfigAnswer(agent_id=agent_id, config=current, revision=agent["revision"])
    agent = await store.save(tx.db, agent, changed, by=tx.actor, at=tx.now)
    settings = rules.difference(current, changed)
    version = changed.config_version
    await note(
        agent,
        tx,
        "config_changed",
        f"The config is now at version {version}: {', '.join(settings)} changed",
        config_version=version,
        settings=settings,
    )
    tx.emit(config_changed(agent, changed, tx))
    return ConfigAnswer(agent_id=agent_id, config=changed, revision=publish_state(agent, tx))
