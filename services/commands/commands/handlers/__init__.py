"""What the commands service does: one handler for each message that it takes."""

from collections.abc import Mapping

from chassis.transaction import Handler
from commands.handlers.agents import agent_reported_change, agent_state
from commands.handlers.emergencies import (
    announce_termination,
    get_emergency_status,
    recommend_rebalance,
)
from commands.handlers.instances import (
    agent_promoted,
    instance_became_zombie,
    instance_terminated,
)
from commands.handlers.pools import pool_state
from commands.handlers.queue import (
    cancel_command,
    lease_commands,
    list_commands,
    queue_switch,
    report_execution,
    withdraw_switch,
)
from commands.handlers.replicas import (
    change_pool_or_instance,
    create_manual_replica,
    delete_replica,
    list_replicas,
    promote_replica,
    record_promotion,
    report_replica_status,
    report_replica_sync,
)
from commands.handlers.switches import get_switch_statistics, list_switches, record_switch
from spotkeeper_contracts import Message
from spotkeeper_contracts.agents import AgentPromoted, AgentState
from spotkeeper_contracts.commands import (
    CancelCommand,
    LeaseCommands,
    ListCommands,
    QueueSwitch,
    ReportExecution,
    WithdrawSwitch,
)
from spotkeeper_contracts.emergencies import (
    AnnounceTermination,
    GetEmergencyStatus,
    RecommendRebalance,
)
from spotkeeper_contracts.instances import InstanceBecameZombie, InstanceTerminated
from spotkeeper_contracts.pools import PoolState
from spotkeeper_contracts.presence import AgentReportedChange
from spotkeeper_contracts.replicas import (
    ChangeReplica,
    CreateReplica,
    DeleteReplica,
    ListReplicas,
    PromoteReplica,
    RecordPromotion,
    ReportReplicaStatus,
    ReportReplicaSync,
)
from spotkeeper_contracts.switches import GetSwitchStatistics, ListSwitches, RecordSwitch

HANDLERS: Mapping[type[Message], Handler] = {
    QueueSwitch: queue_switch,
    LeaseCommands: lease_commands,
    ReportExecution: report_execution,
    CancelCommand: cancel_command,
    WithdrawSwitch: withdraw_switch,
    ListCommands: list_commands,
    RecordSwitch: record_switch,
    ListSwitches: list_switches,
    GetSwitchStatistics: get_switch_statistics,
    ListReplicas: list_replicas,
    CreateReplica: create_manual_replica,
    ChangeReplica: change_pool_or_instance,
    DeleteReplica: delete_replica,
    ReportReplicaStatus: report_replica_status,
    ReportReplicaSync: report_replica_sync,
    PromoteReplica: promote_replica,
    RecordPromotion: record_promotion,
    RecommendRebalance: recommend_rebalance,
    AnnounceTermination: announce_termination,
    GetEmergencyStatus: get_emergency_status,
    AgentState: agent_state,
    AgentReportedChange: agent_reported_change,
    AgentPromoted: agent_promoted,
    InstanceBecameZombie: instance_became_zombie,
    InstanceTerminated: instance_terminated,
    PoolState: pool_state,
}
