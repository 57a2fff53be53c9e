"""Who is said to read a topic reads it, and nobody else."""

from commands.handlers import HANDLERS as OF_COMMANDS
from decision.handlers import HANDLERS as OF_DECISION
from gateway.events import TOPICS as STREAMED
from gateway.running import Gateway
from gateway.settings import GatewaySettings
from heartbeat.handlers import HANDLERS as OF_HEARTBEAT
from registry.handlers import HANDLERS as OF_REGISTRY
from spotkeeper_contracts import TOPICS
from spotkeeper_contracts.topics import AGENT_HEARTBEATS, GATEWAY_REPLIES

HANDLERS = {
    "commands": OF_COMMANDS,
    "decision": OF_DECISION,
    "heartbeat": OF_HEARTBEAT,
    "registry": OF_REGISTRY,
}


async def test_who_is_said_to_read_a_topic_reads_it() -> None:
    read = {name: {m.topic.name for m in handlers} for name, handlers in HANDLERS.items()}
    read["heartbeat"].add(AGENT_HEARTBEATS.name)
    gateway = Gateway.of(GatewaySettings())
    read["gateway"] = {GATEWAY_REPLIES.name, *gateway.views.topics, *(t.name for t in STREAMED)}
    said = {name: {t.name for t in TOPICS.values() if name in t.read_by} for name in read}
    assert read == said
