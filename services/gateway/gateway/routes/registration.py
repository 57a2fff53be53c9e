"""POST /api/agents/register: an agent makes itself known, or tells that it lives on."""

from typing import Self
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, ValidationInfo, field_validator

from gateway.auth import AGENTS
from gateway.calls import AskOnce, CurrentCaller
from gateway.headers import OF_CONFIG, config_headers
from gateway.routing import open_to, router
from gateway.values import with_example
from spotkeeper_contracts import ids
from spotkeeper_contracts.agents import AgentRegistration, RegisterAgent, Registration
from spotkeeper_contracts.configs import AgentConfig
from spotkeeper_contracts.values import assert_in_region

REJECTED = ("standby", "zombie-rejected")
"""Outcomes of a registration that changed nothing for the agent."""

routes = router("agents")


class RegistrationBody(Registration):
    """What an agent says of itself; the first six are required."""

    model_config = with_example(
        {
            "logical_agent_id": "agent-hostname-123",
            "instance_id": "i-1234567890abcdef0",
            "instance_type": "t3.medium",
            "region": "us-east-1",
            "az": "us-east-1a",
            "mode": "spot",
            "hostname": "ip-10-0-1-100",
            "ami_id": "ami-123456",
            "agent_version": "4.0.0",
            "private_ip": "10.0.1.100",
            "public_ip": "54.123.45.67",
        }
    )

    @field_validator("az")
    @classmethod
    def lies_in_its_region(cls, az: str, info: ValidationInfo) -> str:
        """An availability zone is named for its region."""
        assert_in_region(az, info.data.get("region", ""))
        return az


class RegisteredConfig(BaseModel):
    """The ten settings that a registering agent learns."""

    enabled: bool
    auto_switch_enabled: bool
    auto_terminate_enabled: bool
    terminate_wait_seconds: int
    replica_enabled: bool
    replica_count: int
    min_savings_percent: float
    risk_threshold: float
    max_switches_per_week: int
    min_pool_duration_hours: int

    @classmethod
    def of(cls, config: AgentConfig) -> Self:
        """The ten out of all settings."""
        return cls(**config.model_dump(), replica_enabled=config.manual_replica_enabled)


class RegisteredBody(BaseModel):
    """The agent's id, and the config to run by."""

    model_config = with_example(
        {
            "agent_id": "0f8fad5b-d9cb-569f-a165-70867728950e",
            "client_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
            "config": {
                "enabled": True,
                "auto_switch_enabled": True,
                "auto_terminate_enabled": True,
                "terminate_wait_seconds": 300,
                "replica_enabled": False,
                "replica_count": 0,
                "min_savings_percent": 15.0,
                "risk_threshold": 0.3,
                "max_switches_per_week": 10,
                "min_pool_duration_hours": 2,
            },
        }
    )

    agent_id: UUID
    client_id: UUID
    config: RegisteredConfig


@routes.post("/api/agents/register", operation_id="register_agent")
@open_to(AGENTS, tells=(*OF_CONFIG, "X-Agent-Epoch", "X-Outcome"))
async def register_agent(
    body: RegistrationBody, caller: CurrentCaller, ask: AskOnce, out: Response
) -> RegisteredBody:
    """Register an agent; a repeat updates it, another instance takes over.

    An accepted registration counts as a heartbeat. A zombie or a newcomer that has to wait gets a
    config of nothing but false and zero, and `X-Outcome` says why.
    """
    client_id = caller.client_id
    agent_id = ids.agent_id(client_id, body.logical_agent_id)
    registered: AgentRegistration = await ask(
        RegisterAgent(agent_id=agent_id, client_id=client_id, registration=body)
    )
    if registered.outcome in REJECTED:
        out.headers["X-Outcome"] = registered.outcome
    out.headers.update(config_headers(registered.config, registered.epoch))
    return RegisteredBody(
        agent_id=registered.agent_id,
        client_id=registered.client_id,
        config=RegisteredConfig.of(registered.config),
    )
