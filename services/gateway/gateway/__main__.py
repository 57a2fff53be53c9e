"""`python -m gateway` serves; `python -m gateway openapi` prints the OpenAPI document."""

import json
import signal
import socket
import sys
from functools import partial
from types import FrameType

import uvicorn

from chassis.closing import end_within
from chassis.garbage import spare_what_is_loaded
from chassis.health import CannotListen, OperationsServer
from chassis.log import get_logger, set_up_logging
from chassis.starting import read_settings, run_to_its_end
from gateway.app import application, framework
from gateway.connections import Connection
from gateway.running import NAME, Gateway
from gateway.settings import GatewaySettings

log = get_logger()

FINISH_SECONDS = 15
"""How long open requests may take to be finished after SIGTERM."""

BACKLOG = 2_048
USAGE = "usage: python -m gateway [run|openapi]\n"


def main(words: list[str]) -> int:
    """Do what the words say; 2 if they are unknown or a setting is wrong, 1 on an error."""
    match words:
        case [] | ["run"]:
            settings = read_settings(GatewaySettings)
            set_up_logging(NAME, settings.log_level)
            run_to_its_end(serve(settings))
        case ["openapi"]:
            document = framework(None).openapi()
            sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        case ["--help"] | ["-h"]:
            sys.stdout.write(USAGE)
        case _:
            sys.stderr.write(USAGE)
            return 2
    return 0


class Server(uvicorn.Server):
    """Serves a gateway until SIGTERM; open requests are finished, open streams are ended."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop at the first signal; the stop is orderly, so the process ends with 0."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
        end_within(FINISH_SECONDS + self._gateway.settings.drain_seconds)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams first: they would never end by themselves."""
        self._gateway.stopping()
        await super().shutdown(sockets)


def listening(host: str, port: int) -> list[socket.socket]:
    """The public port at each address of the host; raises `CannotListen`, of which uvicorn logs."""
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        return [
            socket.create_server(address[:2], family=family, backlog=BACKLOG)
            for family, _, _, _, address in dict.fromkeys(found)
        ]
    except (OSError, UnicodeError) as error:  # A name that is no name of a host is the latter.
        raise CannotListen(host, port, error) from error


async def serve(settings: GatewaySettings) -> None:
    """Run until SIGTERM or SIGINT."""
    gateway = Gateway.of(settings)
    operations = OperationsServer(
        gateway.health, host=settings.operations_host, port=settings.operations_port
    )
    config = uvicorn.Config(
        application(gateway),
        # uvicorn calls it like the class that it asks for.
        http=partial(  # type: ignore[arg-type]
            Connection, settings=settings, heartbeats=gateway.heartbeats
        ),
        ws="none",
        loop="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=FINISH_SECONDS,
        backlog=BACKLOG,
    )
    spare_what_is_loaded()
    sockets = listening(settings.host, settings.port)
    log.info("started", operations=await operations.start())
    try:
        await Server(config, gateway).serve(sockets)
    finally:
        await operations.stop()
        log.info("stopped")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
