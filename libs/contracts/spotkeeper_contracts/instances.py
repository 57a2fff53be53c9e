"""Instances: which of them are left behind, and how they end."""

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from spotkeeper_contracts.message import Done, Message, Reply, Request, Value
from spotkeeper_contracts.topics import AGENT_EVENTS, REGISTRY_REQUESTS
from spotkeeper_contracts.values import (
    AvailabilityZone,
    InstanceId,
    InstanceType,
    Mode,
    PoolId,
    PurchaseMode,
    Region,
    Text,
    Timestamp,
    pool_name,
)


class ZombieReason(StrEnum):
    """Why an instance is left behind."""

    ZOMBIE_INSTANCE = "zombie_instance"
    REPLICA_RETIRED = "replica_retired"


class TerminationReason(StrEnum):
    """Who ended an instance."""

    MANUAL = "manual"
    SYSTEM = "system"
    AWS_TERMINATION = "aws_termination"


class TerminationType(StrEnum):
    """Whether an instance could end in order."""

    GRACEFUL = "graceful"
    FORCED = "forced"


class Instance(Value):
    """An instance and where it runs."""

    instance_id: InstanceId
    instance_type: InstanceType
    mode: Mode
    pool_id: PoolId | None = None
    az: AvailabilityZone
    region: Region
    ami_id: Text | None = None

    @property
    def spot_pool(self) -> str | None:
        """The pool of a spot instance, the canonical one if it names none; None on demand."""
        if self.mode is PurchaseMode.ONDEMAND:
            return None
        return self.pool_id or pool_name(self.instance_type, self.az)


class InstanceToTerminate(Value):
    """An instance whose wait is over; `age_hours` counts from when it became a zombie."""

    instance_id: InstanceId
    reason: ZombieReason
    age_hours: float
    terminate_after: Timestamp


class InstancesToTerminate(Reply):
    """What an agent is to terminate now."""

    instances: list[InstanceToTerminate]


class ListInstancesToTerminate(
    Request, topic=REGISTRY_REQUESTS, reply=InstancesToTerminate, reads_only=True
):
    """The agent's own instances that may be terminated, and nobody else's."""

    agent_id: UUID
    client_id: UUID


class ReportTermination(Request, topic=REGISTRY_REQUESTS, reply=Done):
    """An instance was terminated, or could not be (`success` is false)."""

    agent_id: UUID
    client_id: UUID
    instance_id: InstanceId
    reason: TerminationReason = TerminationReason.SYSTEM
    termination_type: TerminationType = TerminationType.GRACEFUL
    success: bool = True
    error: Text | None = None


class ReportCleanup(Request, topic=REGISTRY_REQUESTS, reply=Done):
    """What an agent cleaned up, kept as a line of its audit trail."""

    agent_id: UUID
    client_id: UUID
    summary: dict[str, object] = Field(default={})


class RetireInstance(Request, topic=REGISTRY_REQUESTS, reply=Done):
    """Leave a replica's instance behind: it becomes a zombie, unless it is the primary."""

    agent_id: UUID
    client_id: UUID
    replica_id: UUID
    instance: Instance


class InstanceBecameZombie(Message, topic=AGENT_EVENTS):
    """An instance is left behind and waits for its termination."""

    agent_id: UUID
    client_id: UUID
    instance_id: InstanceId
    reason: ZombieReason
    terminate_after: Timestamp
    at: Timestamp


class InstanceTerminated(Message, topic=AGENT_EVENTS):
    """An instance is gone for good."""

    agent_id: UUID
    client_id: UUID
    instance_id: InstanceId
    instance_type: InstanceType
    region: Region
    az: AvailabilityZone
    mode: Mode
    pool_id: PoolId | None
    was_primary: bool
    reason: TerminationReason
    termination_type: TerminationType
    at: Timestamp


class TerminationFailed(Message, topic=AGENT_EVENTS):
    """An instance could not be terminated; it will be listed again later."""

    agent_id: UUID
    client_id: UUID
    instance_id: InstanceId
    error: Text | None
    at: Timestamp
