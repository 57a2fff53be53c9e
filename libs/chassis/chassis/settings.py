"""Settings that every service has, read from `SPOTKEEPER_*` variables or from files."""

import os
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, Field, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "SPOTKEEPER_"
RECONNECT_SECONDS = 0.3
"""How often a broker that is away is looked for: that costs no more than a refused connection."""


class FileSource(PydanticBaseSettingsSource):
    """Reads a setting from the file that `SPOTKEEPER_<NAME>_FILE` names, as secrets come."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The file's text without its line end, under the name by which the field is found."""
        path = os.environ.get(f"{PREFIX}{field_name.upper()}_FILE")
        value = None if path is None else Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        alias = field.validation_alias
        name = str(alias.choices[0]) if isinstance(alias, AliasChoices) else field_name
        return value, name, False

    def __call__(self) -> dict[str, Any]:
        """All settings that a file gives."""
        found = (self.get_field_value(f, n) for n, f in self.settings_cls.model_fields.items())
        return {name: value for value, name, _ in found if value is not None}


class ServiceSettings(BaseSettings):
    """What every service can be told; a service adds its own in a subclass."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", frozen=True, populate_by_name=True
    )

    kafka_bootstrap_servers: str = Field(
        "127.0.0.1:9092",
        validation_alias=AliasChoices(
            f"{PREFIX}KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BOOTSTRAP_SERVERS"
        ),
        description="Kafka's bootstrap addresses, host:port separated by commas.",
    )
    replication_factor: int = Field(
        1, ge=1, description="Copies of each topic when it is created; 3 in production."
    )
    dsn: SecretStr | None = Field(
        None, description="PostgreSQL address of the service's own role (postgresql://…)."
    )
    database_connections: int = Field(10, ge=2, description="Connections to PostgreSQL at most.")
    operations_host: str = Field(
        "127.0.0.1", description="Address that /livez, /readyz and /metrics listen on."
    )
    operations_port: int = Field(
        0, ge=0, description="Port of /livez, /readyz and /metrics; 0 takes any free one."
    )
    log_level: str = Field("info", description="debug, info, warning or error.")
    lanes: int = Field(4, ge=1, le=12, description="Transactions at once in one process.")
    batch_messages: int = Field(50, ge=1, description="Messages in one transaction at most.")
    lane_queue_messages: int = Field(
        2_000, ge=50, description="Messages waiting per lane before a partition is paused."
    )
    message_tries: int = Field(
        5, ge=1, description="Tries of a message that raises before it becomes a dead letter."
    )
    retry_seconds: float = Field(
        0.5, gt=0, description="First pause when the database or the broker is away; it doubles."
    )
    retry_limit_seconds: float = Field(1.0, gt=0, description="Longest such pause.")
    commit_interval_seconds: float = Field(
        0.5, gt=0, description="How often offsets are committed and published rows deleted."
    )
    send_timeout_seconds: float = Field(
        10.0, gt=0, description="How long an acknowledgement of the broker is awaited."
    )
    sweep_seconds: float = Field(
        1.0, gt=0, description="How often a lane looks for what is due by the clock."
    )
    session_timeout_seconds: float = Field(
        6.0, gt=0, description="Silence after which the broker gives a consumer's work to others."
    )
    member: str | None = Field(
        None,
        description="Name of this process among those of its service, if it comes back under it: "
        "the broker then gives it its work back at once, and to nobody else meanwhile.",
    )
    inbox_retention_hours: int = Field(
        192, ge=169, description="How long handled ids and answers are remembered; 8 days."
    )
    drain_seconds: float = Field(20.0, gt=0, description="Longest orderly stop after SIGTERM.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then variables, then files."""
        return init_settings, env_settings, FileSource(settings_cls)
