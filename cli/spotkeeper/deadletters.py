"""`spotkeeper dlq`: the topic of dead letters, from its beginning to its present end."""

import asyncio
import base64
from typing import Annotated, Any

import typer
from aiokafka.conn import collect_hosts
from aiokafka.structs import ConsumerRecord

from chassis.log import keep_quiet
from chassis.reader import Reader, partitions_of
from spotkeeper.embedded.errors import StackError
from spotkeeper.terminal import AsJson, print_rows, run
from spotkeeper_contracts.topics import DEAD_LETTERS

WITHIN_SECONDS = 15.0
PREFIX = "dead_"
LOCAL = "127.0.0.1:29092"


def dlq(
    kafka: Annotated[
        str, typer.Option(envvar="KAFKA_BOOTSTRAP_SERVERS", help="Kafka's bootstrap addresses.")
    ] = LOCAL,
    as_json: AsJson = False,
) -> None:
    """List the dead letters: messages that no service could handle, and why."""
    keep_quiet()
    columns = ("at", "service", "reason", "topic", "partition", "offset", "type", "error")
    print_rows(run(dead_letters(kafka)), columns, as_json=as_json)


async def dead_letters(bootstrap_servers: str) -> list[dict[str, Any]]:
    """What was given up and why, oldest first; raises `StackError` if the broker is away."""
    if not _is_address(bootstrap_servers):
        raise StackError(f"'{bootstrap_servers}' is no address of Kafka, such as {LOCAL}.")
    found: list[dict[str, Any]] = []
    reader = Reader(
        bootstrap_servers,
        partitions_of([DEAD_LETTERS]),
        lambda record: found.append(_letter(record)),
        client_id="spotkeeper",
        from_beginning=True,
    )
    reader.start()
    try:
        async with asyncio.timeout(WITHIN_SECONDS):
            await reader.caught_up.wait()
    except TimeoutError:
        raise StackError(f"No answer from Kafka at {bootstrap_servers}.") from None
    finally:
        await reader.stop()
    return sorted(found, key=lambda letter: str(letter["at"]))


def _is_address(bootstrap_servers: str) -> bool:
    try:
        hosts = collect_hosts(bootstrap_servers)
    except ValueError:
        return False
    return all(host and 0 < port < 65_536 for host, port, _ in hosts)


def _letter(record: "ConsumerRecord[bytes, bytes]") -> dict[str, Any]:
    """One dead letter: why it was given up, and the record as it was."""
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
    why = {name.removeprefix(PREFIX): headers[name] for name in headers if name.startswith(PREFIX)}
    return {
        "at": "",
        **why,
        "type": headers.get("ce_type"),
        "id": headers.get("ce_id"),
        "value_base64": base64.b64encode(record.value or b"").decode(),
    }
