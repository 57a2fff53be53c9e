"""`python -m gateway` serves; `python -m gateway openapi` prints the OpenAPI document."""

import json
import signal
import socket
import sys
from functools import partial
from types import FrameType

import uvicorn
import uvloop

from chassis.closing import end_within
from chassis.garbage import spare_what_is_loaded
from chassis.health import CannotListen, OperationsServer
from chassis.log import get_logger, set_up_logging
from chassis.starting import read_settings
from gateway.app import application, framework
from gateway.connections import Connection
from gateway.running import NAME, Gateway
from gateway.settings import GatewaySettings

log = get_logger()

FINISH_SECONDS = 15
"""How long open requests may take to be finished after SIGTERM."""

USAGE = "usage: python -m gateway [run|openapi]\n"


def main(words: list[str]) -> int:
    """Do what the words say; 2 if they are unknown or a setting is wrong."""
    match words:
        case [] | ["run"]:
            settings = read_settings(GatewaySettings)
            set_up_logging(NAME, settings.log_level)
            try:
                uvloop.run(serve(settings))
            except CannotListen as error:
                sys.exit(str(error))
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


async def serve(settings: GatewaySettings) -> None:
    """Run until SIGTERM or SIGINT."""
    gateway = Gateway.of(settings)
    operations = OperationsServer(
        gateway.health, host=settings.operations_host, port=settings.operations_port
    )
    config = uvicorn.Config(
        application(gateway),
        host=settings.host,
        port=settings.port,
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
        backlog=2_048,
    )
    spare_what_is_loaded()
    log.info("started", operations=await operations.start())
    try:
        await Server(config, gateway).serve()
    finally:
        await operations.stop()
        log.info("stopped")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
