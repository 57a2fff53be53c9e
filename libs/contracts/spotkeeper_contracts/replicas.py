"""Replicas: standby instances of an agent, from their launch to their promotion or their end."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from spotkeeper_contracts.agents import AgentRequest
from spotkeeper_contracts.instances import Instance
from spotkeeper_contracts.message import Done, Message, Reply, Request, Value
from spotkeeper_contracts.topics import AGENT_COMMANDS, COMMANDS_REQUESTS, REGISTRY_REQUESTS
from spotkeeper_contracts.values import (
    AvailabilityZone,
    InstanceId,
    InstanceType,
    Mode,
    Percent,
    PoolId,
    Region,
    Text,
    Timestamp,
    UsdPerHour,
)


class ReplicaKind(StrEnum):
    """Why a replica exists."""

    MANUAL = "manual"
    EMERGENCY = "emergency"


class ReplicaStatus(StrEnum):
    """Where a replica stands; the last three are its end."""

    LAUNCHING = "launching"
    SYNCING = "syncing"
    READY = "ready"
    PROMOTED = "promoted"
    TERMINATED = "terminated"
    FAILED = "failed"


class Replica(Value):
    """One replica; `instance_id` is null until its instance is launched."""

    replica_id: UUID
    kind: ReplicaKind
    status: ReplicaStatus
    pool_id: PoolId | None
    mode: Mode
    instance_id: InstanceId | None
    instance_type: InstanceType
    region: Region
    az: AvailabilityZone
    sync_percentage: Percent
    price_usd_per_hour: UsdPerHour | None
    command_id: UUID | None
    error: Text | None
    created_at: Timestamp
    updated_at: Timestamp


class ReplicaAnswer(Reply):
    """One replica as it stands now."""

    replica: Replica


class ReplicaList(Reply):
    """The replicas of an agent, newest first: all that live, and the latest of those that ended.

    `total` tells how many there are with those that are left out.
    """

    replicas: list[Replica]
    total: int


class ListReplicas(AgentRequest, topic=COMMANDS_REQUESTS, reply=ReplicaList, reads_only=True):
    """All replicas of an agent, those that ended too; or only the one with this id."""

    replica_id: UUID | None = None


class CreateReplica(AgentRequest, topic=COMMANDS_REQUESTS, reply=ReplicaAnswer):
    """Prepare a replica in a pool, or in the safest one if none is named."""

    pool_id: PoolId | None = None
    instance_id: InstanceId | None = None


class ChangeReplica(AgentRequest, topic=COMMANDS_REQUESTS, reply=ReplicaAnswer):
    """Tell a replica's pool or its instance anew; what is left out stays."""

    replica_id: UUID
    pool_id: PoolId | None = None
    instance_id: InstanceId | None = None


class DeleteReplica(AgentRequest, topic=COMMANDS_REQUESTS, reply=Done):
    """Give a replica up; a real instance of it becomes a zombie."""

    replica_id: UUID


class ReportReplicaStatus(AgentRequest, topic=COMMANDS_REQUESTS, reply=ReplicaAnswer):
    """What an agent says of a replica; a ready one has its instance."""

    replica_id: UUID
    status: ReplicaStatus
    instance_id: InstanceId | None = None
    error: Text | None = None


class ReportReplicaSync(AgentRequest, topic=COMMANDS_REQUESTS, reply=ReplicaAnswer):
    """How far a replica holds the primary's data."""

    replica_id: UUID
    sync_percentage: Percent


class PromoteReplica(AgentRequest, topic=COMMANDS_REQUESTS, reply=ReplicaAnswer):
    """Make a replica's instance the agent's primary.

    Refused with 409 `NOT_LAUNCHED` without a real instance, `STALE_EPOCH` if `epoch` is given and
    not the current one, `NOT_SYNCED` if `wait_for_sync` and it is not ready.
    """

    replica_id: UUID
    epoch: int | None = None
    demote_old_primary: bool = True
    wait_for_sync: bool = False


class PromoteInstance(Request, topic=REGISTRY_REQUESTS, reply=ReplicaAnswer):
    """Make an instance the primary under the agent's lock, then let commands record it.

    The former primary becomes a zombie if `demote_old_primary`, else it is superseded. With a
    `threatened_instance_id` the agent stays where it is if that is another instance by now. Asked
    by commands alone.
    """

    agent_id: UUID
    client_id: UUID
    replica_id: UUID
    instance: Instance
    epoch: int | None = None
    demote_old_primary: bool = True
    emergency_id: UUID | None = None
    termination: Annotated[bool, Field(description="Answered as a termination notice.")] = False
    threatened_instance_id: InstanceId | None = None


class RecordPromotion(AgentRequest, topic=COMMANDS_REQUESTS, reply=ReplicaAnswer):
    """Keep a promotion that the registry has made true; it comes from nobody else.

    Where an emergency waits for one that cannot be made true, `refused` says why.
    """

    replica_id: UUID
    former_instance_id: InstanceId | None
    emergency_id: UUID | None = None
    termination: bool = False
    refused: Text | None = None


class ReplicaChanged(Message, topic=AGENT_COMMANDS):
    """A replica has come to be, or to stand where `replica` tells."""

    agent_id: UUID
    client_id: UUID
    replica: Replica
    at: Timestamp
