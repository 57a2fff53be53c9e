"""What the commands service can be told beyond what every service can."""

from datetime import timedelta

from pydantic import Field

from chassis.settings import Hours, Seconds, ServiceSettings
from spotkeeper_contracts.commands import Trigger


class CommandsSettings(ServiceSettings):
    """Settings of the commands service."""

    lease_seconds: Seconds = Field(
        60.0, gt=0, description="For so long a fetched command is kept from others."
    )
    command_expires_seconds: Seconds = Field(
        3600.0, gt=0, description="Life of a command that saves money."
    )
    emergency_command_expires_seconds: Seconds = Field(
        900.0, gt=0, description="Life of a command that answers an emergency."
    )
    emergency_expires_seconds: Seconds = Field(
        7200.0, gt=0, description="Time after which an open emergency stands its replica down."
    )
    replica_retry_seconds: Seconds = Field(
        60.0, gt=0, description="Pause before a failed manual replica is replaced."
    )
    pool_stale_hours: Hours = Field(
        24.0, gt=0, description="Age above which what is known of a pool counts no more."
    )

    def command_life(self, trigger: Trigger) -> timedelta:
        """How long a command with this trigger may wait for its end."""
        if trigger is Trigger.EMERGENCY:
            return timedelta(seconds=self.emergency_command_expires_seconds)
        return timedelta(seconds=self.command_expires_seconds)

    @property
    def lease(self) -> timedelta:
        """How long a fetched command is kept from others."""
        return timedelta(seconds=self.lease_seconds)

    @property
    def emergency_life(self) -> timedelta:
        """How long an emergency may be open."""
        return timedelta(seconds=self.emergency_expires_seconds)
