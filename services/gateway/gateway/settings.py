"""What the gateway can be told, beside what every service can."""

import os
import socket
from zlib import crc32

from pydantic import Field, SecretStr

from chassis.settings import MOST, TEN_YEARS_SECONDS, Count, Seconds, ServiceSettings
from spotkeeper_contracts import PARTITIONS


def _own_reply_partition() -> int:
    """A partition that follows from host and process; two gateways may share one."""
    return crc32(f"{socket.gethostname()}/{os.getpid()}".encode()) % PARTITIONS


class GatewaySettings(ServiceSettings):
    """The gateway's own settings; it has no database, so `dsn` stays unset."""

    host: str = Field("127.0.0.1", description="Address that the public port listens on.")
    port: int = Field(5000, ge=0, le=65_535, description="Public port of the HTTP interface.")
    admin_token: SecretStr | None = Field(
        None, description="Token of /api/admin; unset, nobody is let in there."
    )
    reply_partition: int = Field(
        default_factory=_own_reply_partition,
        ge=0,
        lt=PARTITIONS,
        description="Partition of gateway-replies that this gateway reads.",
    )
    heartbeat_fast_path: bool = Field(
        True, description="Take heartbeats in front of the web framework; off only to compare."
    )
    ask_timeout_seconds: Seconds = Field(
        10.0, gt=0, description="How long an owner's answer is awaited before 504."
    )
    view_timeout_seconds: Seconds = Field(
        1.0, gt=0, description="How long a caller's own write is awaited in the gateway's view."
    )
    presence_timeout_seconds: Seconds = Field(
        1.0, gt=0, description="How long the owner of presence may be silent in lists of agents."
    )
    body_bytes: Count = Field(65_536, gt=0, description="Largest request body.")
    heartbeat_body_bytes: Count = Field(16_384, gt=0, description="Largest body of a heartbeat.")
    header_bytes: Count = Field(
        16_384, gt=0, description="Largest header block with path and query."
    )
    head_seconds: Seconds = Field(
        10.0, gt=0, description="How long a connection may take to send a request's headers."
    )
    read_body_seconds: Seconds = Field(
        20.0, gt=0, description="How long a request's body may take to arrive."
    )
    requests_per_second: float = Field(
        2_000.0, gt=0, le=MOST, description="Requests of one client in the long run; more get 429."
    )
    requests_burst: Count = Field(
        4_000, gt=0, description="Requests of one client at once; more get 429."
    )
    waiting_beats: Count = Field(
        20_000, gt=0, description="Beats that may wait for the broker; more get 503."
    )
    beats_per_record: Count = Field(500, gt=0, description="Beats in one record at most.")
    record_gap_seconds: Seconds = Field(
        0.05, ge=0, description="Least time between two records of beats in one partition."
    )
    acknowledge_seconds: Seconds = Field(
        3.0, gt=0, description="How long a beat waits for the broker before 503."
    )
    tick_seconds: Seconds = Field(
        1.0, gt=0, description="How often a record is appended to a partition without beats."
    )
    waiting_polls: Count = Field(
        20_000, gt=0, description="Agents that may wait for commands; more are answered at once."
    )
    stream_listeners: Count = Field(500, gt=0, description="Event streams open at once.")
    stream_listeners_per_client: Count = Field(
        100, gt=0, description="Event streams of one client open at once."
    )
    stream_queue_events: Count = Field(
        1_000, gt=0, description="Events waiting for one slow listener before it is let go."
    )
    stream_comment_seconds: Seconds = Field(
        15.0, gt=0, description="How often a quiet event stream shows that it lives."
    )
    keep_alive_seconds: int = Field(
        75,
        gt=0,
        le=TEN_YEARS_SECONDS,
        description="How long an idle connection stays open; above the beats' interval.",
    )
