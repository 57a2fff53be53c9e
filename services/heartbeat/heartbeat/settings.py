"""What the heartbeat service can be told."""

from pydantic import Field

from chassis.settings import Count, Seconds, ServiceSettings
from heartbeat.rules import Limits


class HeartbeatSettings(ServiceSettings):
    """Settings of the heartbeat service."""

    offline_after_seconds: Seconds = Field(
        120.0, gt=0, description="Silence after which an agent that could be heard is offline."
    )
    deaf_gap_seconds: Seconds = Field(
        3.0,
        gt=0,
        description="Time between two records above which nobody could be heard; gateways append "
        "one each second.",
    )
    flush_interval_seconds: Seconds = Field(
        1.0, gt=0, description="How often presence is written to the database."
    )
    gather_seconds: Seconds = Field(
        0.1, ge=0, description="How long a transition waits for others to be published with it."
    )
    unkept_records: Count = Field(
        20_000, ge=100, description="Records folded but not yet kept before reading pauses."
    )
    revoke_seconds: Seconds = Field(
        5.0,
        gt=0,
        description="How long a partition that is taken away may take to be kept; the next owner "
        "repeats what was not.",
    )
    stall_seconds: Seconds = Field(
        60.0,
        gt=0,
        description="How long records may lie unread, with database and broker there, before the "
        "process ends to start anew.",
    )

    @property
    def limits(self) -> Limits:
        """The limits that the rules judge by."""
        return Limits(int(self.offline_after_seconds * 1000), int(self.deaf_gap_seconds * 1000))
