"""Emergencies: what AWS announces, and what is done about it."""

from enum import StrEnum
from uuid import UUID

from spotkeeper_contracts.agents import AgentRequest
from spotkeeper_contracts.message import Message, Reply, Value
from spotkeeper_contracts.topics import AGENT_COMMANDS, COMMANDS_REQUESTS
from spotkeeper_contracts.values import Count, InstanceId, Timestamp


class EmergencyType(StrEnum):
    """What set an emergency going."""

    REBALANCE_RECOMMENDATION = "rebalance_recommendation"
    TERMINATION_NOTICE = "termination_notice"


class RebalanceAction(StrEnum):
    """What is done about a rebalance recommendation."""

    REPLICA_CREATED = "replica_created"
    REPLICA_READY = "replica_ready"
    NO_ACTION = "no_action"


class TerminationAction(StrEnum):
    """What is done about a termination notice."""

    REPLICA_PROMOTED = "replica_promoted"
    PROMOTION_PENDING = "promotion_pending"
    SWITCH_TO_ONDEMAND = "switch_to_ondemand"
    NO_ACTION = "no_action"


class RebalanceAnswer(Reply):
    """What is done, and the replica that it is done with."""

    action_taken: RebalanceAction
    replica_id: UUID | None


class RecommendRebalance(AgentRequest, topic=COMMANDS_REQUESTS, reply=RebalanceAnswer):
    """AWS recommends to leave an instance before it may be interrupted."""

    instance_id: InstanceId | None = None
    recommendation_time: Timestamp | None = None


class TerminationAnswer(Reply):
    """What is done, with which replica or which command."""

    action_taken: TerminationAction
    replica_id: UUID | None
    command_id: UUID | None


class AnnounceTermination(AgentRequest, topic=COMMANDS_REQUESTS, reply=TerminationAnswer):
    """AWS announces that it will terminate an instance within two minutes."""

    instance_id: InstanceId
    termination_time: Timestamp
    notice_time: Timestamp | None = None


class EmergencyEvent(Value):
    """An emergency as the agent's emergency status shows it."""

    timestamp: Timestamp
    type: EmergencyType
    action_taken: str
    outcome: str


class EmergencyStatus(Reply):
    """How an agent stands with emergencies."""

    emergency_mode_active: bool
    last_emergency_event: EmergencyEvent | None
    emergency_replicas_count: Count
    termination_notices_24h: Count


class GetEmergencyStatus(
    AgentRequest, topic=COMMANDS_REQUESTS, reply=EmergencyStatus, reads_only=True
):
    """How an agent stands with emergencies."""


class EmergencyOpened(Message, topic=AGENT_COMMANDS):
    """AWS announced something about an agent's instance; `action_taken` tells what is done.

    Where that is `no_action` it is closed at once, with the outcome `none`.
    """

    agent_id: UUID
    client_id: UUID
    emergency_id: UUID
    kind: EmergencyType
    action_taken: str
    instance_id: InstanceId | None
    replica_id: UUID | None
    command_id: UUID | None
    expires_at: Timestamp
    at: Timestamp


class EmergencyChanged(Message, topic=AGENT_COMMANDS):
    """Something else is done about an open emergency than before; `command_id` if it is a command.

    A pending promotion has its replica by now (`replica_promoted`), or none will come in time
    (`switch_to_ondemand`).
    """

    agent_id: UUID
    client_id: UUID
    emergency_id: UUID
    action_taken: str
    replica_id: UUID | None
    command_id: UUID | None
    at: Timestamp


class EmergencyClosed(Message, topic=AGENT_COMMANDS):
    """It is over: met (`success`), `failed`, `expired`, or nothing was to be done (`none`)."""

    agent_id: UUID
    client_id: UUID
    emergency_id: UUID
    outcome: str
    at: Timestamp
