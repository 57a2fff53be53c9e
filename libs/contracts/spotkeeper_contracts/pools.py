"""Pools and the engine that rates them, as the decision service tells of them."""

from uuid import UUID

from spotkeeper_contracts.message import Message
from spotkeeper_contracts.topics import ENGINE_STATE, POOL_STATE
from spotkeeper_contracts.values import (
    AvailabilityZone,
    InstanceType,
    PoolId,
    Probability,
    Region,
    Text,
    Timestamp,
    UsdPerHour,
)


class PoolState(Message, topic=POOL_STATE):
    """A pool's latest price, and its risk of an interruption within an hour.

    Pools are named, and rated, by the fleet of one client: zones have other names for others.
    Prices that were told at once for several moments come one by one, the oldest first.
    """

    pool_id: PoolId
    client_id: UUID | None = None
    revision: int
    instance_type: InstanceType
    region: Region
    az: AvailabilityZone
    price_usd_per_hour: UsdPerHour | None
    ondemand_usd_per_hour: UsdPerHour | None = None
    risk_1h: Probability
    as_of: Timestamp

    @property
    def key(self) -> str:
        """The client's id, the type with the region, and the `pool_id`: names are shared."""
        return f"{self.client_id}/{self.instance_type}.{self.region}/{self.pool_id}"


class EngineState(Message, topic=ENGINE_STATE):
    """Whether a decision engine works, and with which model; stale after 30 s."""

    instance: Text
    revision: int
    model_version: Text | None
    model_loaded: bool
    healthy: bool
    at: Timestamp
