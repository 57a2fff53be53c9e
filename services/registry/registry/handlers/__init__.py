"""What the registry does: one handler for each message that it takes."""

from collections.abc import Mapping

from chassis.transaction import Handler
from registry.handlers.agents import (
    delete_agent,
    get_agent,
    keep_heartbeat,
    list_agents,
    list_events,
    shut_down_agent,
)
from registry.handlers.clients import (
    create_client,
    create_token,
    delete_client,
    list_clients,
    revoke_token,
)
from registry.handlers.configs import change_config, list_config_history, rollback_config
from registry.handlers.emergencies import (
    emergency_changed,
    emergency_closed,
    emergency_opened,
)
from registry.handlers.instances import (
    list_instances_to_terminate,
    report_cleanup,
    report_termination,
    retire_instance,
)
from registry.handlers.moves import command_finished, command_queued, replica_changed
from registry.handlers.presence import agent_came_online, agent_reported_change, agent_went_offline
from registry.handlers.registration import register_agent
from registry.handlers.switches import issue_switch, promote_instance, report_switch
from spotkeeper_contracts import Message
from spotkeeper_contracts.agents import (
    DeleteAgent,
    GetAgent,
    KeepHeartbeat,
    ListAgents,
    ListEvents,
    RegisterAgent,
    ShutDownAgent,
)
from spotkeeper_contracts.clients import (
    CreateClient,
    CreateToken,
    DeleteClient,
    ListClients,
    RevokeToken,
)
from spotkeeper_contracts.commands import CommandFinished, CommandQueued
from spotkeeper_contracts.configs import ChangeConfig, ListConfigHistory, RollbackConfig
from spotkeeper_contracts.emergencies import EmergencyChanged, EmergencyClosed, EmergencyOpened
from spotkeeper_contracts.instances import (
    ListInstancesToTerminate,
    ReportCleanup,
    ReportTermination,
    RetireInstance,
)
from spotkeeper_contracts.presence import (
    AgentCameOnline,
    AgentReportedChange,
    AgentWentOffline,
)
from spotkeeper_contracts.replicas import PromoteInstance, ReplicaChanged
from spotkeeper_contracts.switches import IssueSwitch, ReportSwitch

HANDLERS: Mapping[type[Message], Handler] = {
    RegisterAgent: register_agent,
    GetAgent: get_agent,
    ListAgents: list_agents,
    DeleteAgent: delete_agent,
    ShutDownAgent: shut_down_agent,
    KeepHeartbeat: keep_heartbeat,
    ListEvents: list_events,
    ChangeConfig: change_config,
    RollbackConfig: rollback_config,
    ListConfigHistory: list_config_history,
    CreateClient: create_client,
    DeleteClient: delete_client,
    ListClients: list_clients,
    CreateToken: create_token,
    RevokeToken: revoke_token,
    IssueSwitch: issue_switch,
    ReportSwitch: report_switch,
    PromoteInstance: promote_instance,
    ListInstancesToTerminate: list_instances_to_terminate,
    ReportTermination: report_termination,
    RetireInstance: retire_instance,
    ReportCleanup: report_cleanup,
    CommandQueued: command_queued,
    CommandFinished: command_finished,
    ReplicaChanged: replica_changed,
    EmergencyOpened: emergency_opened,
    EmergencyChanged: emergency_changed,
    EmergencyClosed: emergency_closed,
    AgentCameOnline: agent_came_online,
    AgentReportedChange: agent_reported_change,
    AgentWentOffline: agent_went_offline,
}
