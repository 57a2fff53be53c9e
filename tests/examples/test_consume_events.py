"""The example consumer runs as its docstring says, against a real broker."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE

from chassis.envelope import Envelope
from chassis.producer import Producer
from chassis.topics import create_topics
from spotkeeper_contracts.agents import AgentRegistered
from spotkeeper_contracts.examples import example
from spotkeeper_contracts.presence import AgentWentOffline
from spotkeeper_contracts.topics import AGENT_EVENTS, AGENT_PRESENCE
from tests.sources import ROOT
from tests.stack import Stack

SCRIPT = ROOT / "examples" / "consume_events.py"


async def test_it_prints_typed_events(stack: Stack) -> None:
    registered, offline = example(AgentRegistered), example(AgentWentOffline)
    await create_topics(stack.kafka, [AGENT_EVENTS, AGENT_PRESENCE], replication_factor=1)
    producer = Producer(stack.kafka, client_id="test")
    await producer.start()
    for message in (registered, offline):
        await producer.send(Envelope.of(message, source="test").to_record())
    await producer.stop()

    environment = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": stack.kafka}
    consumer = await asyncio.create_subprocess_exec(
        sys.executable, SCRIPT, env=environment, stdout=PIPE, stderr=PIPE
    )
    assert consumer.stdout is not None
    expected = {f"AgentRegistered.v1 {registered}", f"AgentWentOffline.v1 {offline}"}
    try:
        async with asyncio.timeout(30):
            while expected:
                line = await consumer.stdout.readline()
                assert line, "the example ended"
                expected.discard(line.decode().rstrip())
    finally:
        consumer.send_signal(signal.SIGINT)
        _, errors = await consumer.communicate()
    assert (consumer.returncode, errors) == (0, b"")
