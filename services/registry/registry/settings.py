"""What the registry can be told beyond what every service can."""

from pydantic import Field, SecretStr

from chassis.settings import ServiceSettings


class RegistrySettings(ServiceSettings):
    """The registry's own settings."""

    demo_token: SecretStr = Field(
        SecretStr("client-token"),
        description="Token of the demo client that `python -m registry demo` makes.",
    )
