"""The value types that messages and HTTP bodies share: ids, words and numbers with limits."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, StringConstraints
from pydantic_core import PydanticCustomError


def _to_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def rfc3339(moment: datetime) -> str:
    """The moment as RFC 3339 in UTC with `Z`, to the microsecond where it has a fraction."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


Timestamp = Annotated[
    datetime,
    AfterValidator(_to_utc),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
]
"""A moment; read in any zone (none means UTC), written in UTC with `Z`."""

LogicalAgentId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]
InstanceId = Annotated[str, StringConstraints(pattern=r"^i-[A-Za-z0-9-]{1,60}$")]
PoolId = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7E]{1,128}$")]
"""Opaque to everyone; the canonical form, made at registration, is that of `pool_name`."""

Text = Annotated[str, StringConstraints(max_length=255, pattern=r"^[^\x00]*$")]
InstanceType = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
Region = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,32}$")]
AvailabilityZone = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,48}$")]
UsdPerHour = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
WaitSeconds = Annotated[int, Field(ge=0, le=86_400)]


def assert_in_region(az: str, region: str) -> None:
    """`us-east-1a` and `us-east-1-bos-1a` lie in `us-east-1`, `us-east-11a` does not.

    Raises what becomes a 400.
    """
    suffix = az.removeprefix(region)
    if not az.startswith(region) or not suffix or suffix[0].isdigit():
        raise PydanticCustomError("az", "The availability zone must lie in the region")


class Role(StrEnum):
    """What the bearer of a token may do."""

    AGENT = "agent"
    OPERATOR = "operator"
    VIEWER = "viewer"


class PurchaseMode(StrEnum):
    """How an instance is paid for."""

    SPOT = "spot"
    ONDEMAND = "ondemand"


def _plain_mode(mode: Any) -> Any:
    return "ondemand" if mode in ("on-demand", "on_demand") else mode


Mode = Annotated[PurchaseMode, BeforeValidator(_plain_mode)]
"""A `PurchaseMode`; `on-demand` and `on_demand` are read as `ondemand`."""


def pool_name(instance_type: str, az: str) -> str:
    """The canonical id of a pool."""
    return f"{instance_type}.{az}"


def canonical_pool(mode: PurchaseMode, instance_type: str, az: str) -> str | None:
    """The pool that a spot instance lies in, if it names none; on-demand lies in none."""
    return None if mode is PurchaseMode.ONDEMAND else pool_name(instance_type, az)


class AgentStatus(StrEnum):
    """What an agent says of itself; only the server says `offline`."""

    ONLINE = "online"
    DEGRADED = "degraded"
    SWITCHING = "switching"
    STOPPING = "stopping"
    ERROR = "error"
    DISABLED = "disabled"
    OFFLINE = "offline"


class InstanceStatus(StrEnum):
    """Where an instance stands in its agent's history."""

    PRIMARY = "primary"
    STANDBY = "standby"
    SUPERSEDED = "superseded"
    ZOMBIE = "zombie"
    TERMINATED = "terminated"


Actor = Annotated[str, StringConstraints(max_length=160)]
"""Who caused a change: `agent:{token}`, `operator:{token}`, `admin` or `system:{service}`."""
