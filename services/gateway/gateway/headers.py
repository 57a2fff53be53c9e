"""Response headers of the contract, and the conditions that callers set on versions."""

import re

from gateway.errors import VERSION_MISMATCH
from spotkeeper_contracts.configs import AgentConfig

OF_CONFIG = ("ETag", "X-Config-Version")
"""The names of the headers that tell an agent's config apart from its other versions."""

_VERSION = re.compile(r"0|[1-9][0-9]{0,8}")
"""A version as its tag is written; any other text is the tag of none."""


def config_headers(config: AgentConfig, epoch: int) -> dict[str, str]:
    """What every answer that concerns an agent's config carries."""
    version = str(config.config_version)
    return {"X-Config-Version": version, "ETag": f'"{version}"', "X-Agent-Epoch": str(epoch)}


def matches(if_none_match: str | None, version: int) -> bool:
    """Whether the caller has this version already."""
    tags = _tags(if_none_match)
    return "*" in tags or str(version) in tags


def expected_version(if_match: str | None, current: int) -> int | None:
    """The version that the caller insists on, if any; raises `Refused` with 412.

    Of several it is the current one, if that is among them. A tag that is empty matches none.
    """
    tags = _tags(if_match)
    if if_match is None or "*" in tags:
        return None
    versions = [int(tag) for tag in tags if _VERSION.fullmatch(tag)]
    if not versions:
        raise VERSION_MISMATCH.refused()
    return current if current in versions else versions[0]


def _tags(field: str | None) -> list[str]:
    """The entity tags of a header field, weak ones included, without their quotes."""
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in (field or "").split(",")]
    return [tag for tag in tags if tag]
