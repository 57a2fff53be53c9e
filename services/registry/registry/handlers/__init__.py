"""What the registry does: one handler for each message that it takes."""

from collections.abc import Mapping

from chassis.transaction import Handler
from registry.handlers.agents import (
    delete_agent,
    get_agent,
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
from registry.handlers.presence import agent_came_online, agent_reported_change, agent_went_offline
from registry.handlers.registration import register_agent
from spotkeeper_contracts import Message
from spotkeeper_contracts.agents import (
    DeleteAgent,
    GetAgent,
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
from spotkeeper_contracts.configs import ChangeConfig, ListConfigHistory, RollbackConfig
from spotkeeper_contracts.presence import (
    AgentCameOnline,
    AgentReportedChange,
    AgentWentOffline,
)

HANDLERS: Mapping[type[Message], Handler] = {
    RegisterAgent: register_agent,
    GetAgent: get_agent,
    ListAgents: list_agents,
    DeleteAgent: delete_agent,
    ShutDownAgent: shut_down_agent,
    ListEvents: list_events,
    ChangeConfig: change_config,
    RollbackConfig: rollback_config,
    ListConfigHistory: list_config_history,
    CreateClient: create_client,
    DeleteClient: delete_client,
    ListClients: list_clients,
    CreateToken: create_token,
    RevokeToken: revoke_token,
    AgentCameOnline: agent_came_online,
    AgentReportedChange: agent_reported_change,
    AgentWentOffline: agent_went_offline,
}
