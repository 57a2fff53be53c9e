"""Settings that every service has, read from `SPOTKEEPER_*` variables or from files."""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

PREFIX = "SPOTKEEPER_"
LAST_PORT = 65_535
MOST = 2**31 - 1
"""Of whatever is counted: what a column, a record of Kafka and every library can hold."""

TEN_YEARS_HOURS = 10 * 365 * 24
TEN_YEARS_SECONDS = TEN_YEARS_HOURS * 3600
"""As good as for ever, and any moment can be moved by it; by much more none can."""

MOST_COPIES = 2**15 - 1
"""Kafka counts copies in 16 bits."""

RECONNECT_SECONDS = 0.3
"""How often a broker that is away is looked for: that costs no more than a refused connection."""


def _in_lower_case(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _with_ports(servers: str) -> str:
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        if not re.fullmatch(r"[^\s/]+", host) or not re.fullmatch(r"[0-9]{1,5}", port):
            break
        if not 0 < int(port) <= LAST_PORT:
            break
    else:
        return servers
    raise ValueError("should be host:port, or several of them separated by commas")


def _of_postgresql(dsn: SecretStr) -> SecretStr:
    if not dsn.get_secret_value().startswith(("postgresql://", "postgres://")):
        raise ValueError("should be an address that begins with postgresql://")
    return dsn


Count = Annotated[int, Field(le=MOST)]
Seconds = Annotated[float, Field(le=TEN_YEARS_SECONDS)]
Hours = Annotated[float, Field(le=TEN_YEARS_HOURS)]
Days = Annotated[int, Field(le=TEN_YEARS_HOURS // 24)]
KafkaSeconds = Annotated[float, Field(le=MOST // 1000)]
"""Kafka counts milliseconds in 32 bits."""

LogLevel = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_in_lower_case)]
Servers = Annotated[str, AfterValidator(_with_ports)]
Dsn = Annotated[SecretStr, AfterValidator(_of_postgresql)]


def variables(name: str, field: FieldInfo) -> list[str]:
    """The variables that a setting is read from, the one that overrules first."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [f"{PREFIX}{name.upper()}"]


class FileSource(PydanticBaseSettingsSource):
    """Reads a setting from the file that `SPOTKEEPER_<NAME>_FILE` names, as secrets come."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The file's text without its line end, under the name by which the field is found."""
        variable = f"{PREFIX}{field_name.upper()}_FILE"
        path = os.environ.get(variable)
        try:
            value = None if path is None else Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            text = f"{variable} names {path!r}, which cannot be read: {error.strerror}."
            raise SettingsError(text) from error
        except UnicodeError as error:
            raise SettingsError(f"{variable} names {path!r}, which is no text.") from error
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
        env_prefix=PREFIX,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        allow_inf_nan=False,
    )

    kafka_bootstrap_servers: Servers = Field(
        "127.0.0.1:9092",
        validation_alias=AliasChoices(
            f"{PREFIX}KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BOOTSTRAP_SERVERS"
        ),
        description="Kafka's bootstrap addresses, host:port separated by commas.",
    )
    replication_factor: int = Field(
        1,
        ge=1,
        le=MOST_COPIES,
        description="Copies of each topic when it is created; 3 in production.",
    )
    dsn: Dsn | None = Field(
        None, description="PostgreSQL address of the service's own role (postgresql://…)."
    )
    database_connections: Count = Field(10, ge=2, description="Connections to PostgreSQL at most.")
    operations_host: str = Field(
        "127.0.0.1", description="Address that /livez, /readyz and /metrics listen on."
    )
    operations_port: int = Field(
        0,
        ge=0,
        le=LAST_PORT,
        description="Port of /livez, /readyz and /metrics; 0 takes any free one.",
    )
    log_level: LogLevel = Field("info", description="debug, info, warning or error.")
    lanes: int = Field(4, ge=1, le=12, description="Transactions at once in one process.")
    batch_messages: Count = Field(50, ge=1, description="Messages in one transaction at most.")
    lane_queue_messages: Count = Field(
        2_000, ge=50, description="Messages waiting per lane before a partition is paused."
    )
    message_tries: Count = Field(
        5, ge=1, description="Tries of a message that raises before it becomes a dead letter."
    )
    retry_seconds: Seconds = Field(
        0.5, gt=0, description="First pause when the database or the broker is away; it doubles."
    )
    retry_limit_seconds: Seconds = Field(1.0, gt=0, description="Longest such pause.")
    commit_interval_seconds: Seconds = Field(
        0.5, gt=0, description="How often offsets are committed and published rows deleted."
    )
    send_timeout_seconds: KafkaSeconds = Field(
        10.0, gt=0, description="How long an acknowledgement of the broker is awaited."
    )
    sweep_seconds: Seconds = Field(
        1.0, gt=0, description="How often a lane looks for what is due by the clock."
    )
    session_timeout_seconds: KafkaSeconds = Field(
        6.0, gt=0, description="Silence after which the broker gives a consumer's work to others."
    )
    member: str | None = Field(
        None,
        description="Name of this process among those of its service, if it comes back under it: "
        "the broker then gives it its work back at once, and to nobody else meanwhile. Only one "
        "process of a service may run under a name: two take the work from each other for ever.",
    )
    inbox_retention_hours: int = Field(
        192,
        ge=169,
        le=TEN_YEARS_HOURS,
        description="How long handled ids and answers are remembered; 8 days.",
    )
    drain_seconds: Seconds = Field(
        20.0,
        gt=0,
        description="Longest orderly stop after SIGTERM; soon after it the process ends anyway.",
    )

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
