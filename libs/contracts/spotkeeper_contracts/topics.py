"""Every topic of the bus, declared once: its key, writers, readers and retention."""

from dataclasses import dataclass
from enum import StrEnum

PARTITIONS = 12
"""Partitions of every topic. Fixed for good: another count would break the order per key."""

RECORD_BYTES = 4 * 1024 * 1024
"""The largest record of a topic. A dead letter may be twice as large: it holds one, and why."""

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class Kind(StrEnum):
    """What a topic holds; it settles retention and clean-up."""

    EVENTS = "events"
    REQUESTS = "requests"
    REPLIES = "replies"
    STATE = "state"
    HEARTBEATS = "heartbeats"
    DEAD_LETTERS = "dead-letters"


_CONFIG_OF_KIND: dict[Kind, dict[str, str]] = {
    Kind.EVENTS: {"retention.ms": str(7 * DAY_MS)},
    Kind.REQUESTS: {"retention.ms": str(DAY_MS)},
    Kind.REPLIES: {"retention.ms": str(HOUR_MS)},
    Kind.STATE: {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1"},
    Kind.HEARTBEATS: {
        "retention.ms": str(DAY_MS),
        "message.timestamp.type": "LogAppendTime",
    },
    Kind.DEAD_LETTERS: {
        "retention.ms": str(14 * DAY_MS),
        "max.message.bytes": str(2 * RECORD_BYTES),
    },
}

TOPICS: dict[str, "Topic"] = {}
"""All declared topics by name."""


@dataclass(frozen=True)
class Topic:
    """A topic: who may write it, who reads it, and the field of its messages that orders them."""

    name: str
    key: str
    kind: Kind
    written_by: frozenset[str]
    read_by: frozenset[str]
    about: str

    def __post_init__(self) -> None:
        assert self.name not in TOPICS, f"topic {self.name} is declared twice"
        TOPICS[self.name] = self

    @property
    def config(self) -> dict[str, str]:
        """The broker settings this topic is created with and checked against."""
        common = {"cleanup.policy": "delete", "max.message.bytes": str(RECORD_BYTES)}
        return common | _CONFIG_OF_KIND[self.kind]


def _topic(name: str, key: str, kind: Kind, written_by: str, read_by: str, about: str) -> Topic:
    return Topic(name, key, kind, frozenset(written_by.split()), frozenset(read_by.split()), about)


AGENT_HEARTBEATS = _topic(
    "agent-heartbeats", "agent_id", Kind.HEARTBEATS, "gateway registry", "heartbeat downstream",
    "Beats of many agents in one record, and empty records as ticks; time is the broker's.",
)  # fmt: skip
REGISTRY_REQUESTS = _topic(
    "registry-requests", "agent_id", Kind.REQUESTS, "gateway commands decision registry",
    "registry",
    "Requests to the owner of clients, agents, configs and instances.",
)  # fmt: skip
HEARTBEAT_REQUESTS = _topic(
    "heartbeat-requests", "client_id", Kind.REQUESTS, "gateway", "heartbeat",
    "Questions to the owner of presence.",
)  # fmt: skip
DECISION_REQUESTS = _topic(
    "decision-requests", "agent_id", Kind.REQUESTS, "gateway", "decision",
    "Requests to the decision engine.",
)  # fmt: skip
COMMANDS_REQUESTS = _topic(
    "commands-requests", "agent_id", Kind.REQUESTS, "gateway registry decision",
    "commands",
    "Requests to the owner of commands, switches, replicas and emergencies.",
)  # fmt: skip
GATEWAY_REPLIES = _topic(
    "gateway-replies", "request", Kind.REPLIES, "registry heartbeat decision commands", "gateway",
    "Answers, each on the partition that the asking gateway reads, behind the state it changed.",
)  # fmt: skip
CLIENT_STATE = _topic(
    "client-state", "client_id", Kind.STATE, "registry", "gateway",
    "The state of each client with the hashes and roles of its tokens, never a token.",
)  # fmt: skip
AGENT_STATE = _topic(
    "agent-state", "agent_id", Kind.STATE, "registry", "gateway decision commands downstream",
    "The whole state of each agent, with its config and epoch.",
)  # fmt: skip
COMMAND_QUEUES = _topic(
    "command-queues", "agent_id", Kind.STATE, "commands", "gateway downstream",
    "How many commands of an agent may be delivered, and the highest priority among them.",
)  # fmt: skip
POOL_STATE = _topic(
    "pool-state", "pool_id", Kind.STATE, "decision", "commands downstream",
    "Price and risk of each pool.",
)  # fmt: skip
ENGINE_STATE = _topic(
    "engine-state", "instance", Kind.STATE, "decision", "gateway",
    "Whether a decision engine runs, and with which model.",
)  # fmt: skip
AGENT_EVENTS = _topic(
    "agent-events", "agent_id", Kind.EVENTS, "registry", "gateway commands decision downstream",
    "What happened to agents, their configs and their instances.",
)  # fmt: skip
AGENT_PRESENCE = _topic(
    "agent-presence", "agent_id", Kind.EVENTS, "heartbeat",
    "registry commands decision gateway downstream",
    "Who came online, went offline, reported a change or another price.",
)  # fmt: skip
AGENT_DECISIONS = _topic(
    "agent-decisions", "agent_id", Kind.EVENTS, "decision", "decision gateway downstream",
    "What the decision engine decided, and why.",
)  # fmt: skip
AGENT_COMMANDS = _topic(
    "agent-commands", "agent_id", Kind.EVENTS, "commands", "registry decision gateway downstream",
    "The life of commands, switches, replicas and emergencies.",
)  # fmt: skip
DEAD_LETTERS = _topic(
    "dead-letters", "original", Kind.DEAD_LETTERS,
    "registry heartbeat decision commands", "operators",
    "What could not be handled, as it came, and why.",
)  # fmt: skip

BROUGHT_ALONG = frozenset({CLIENT_STATE.name, AGENT_STATE.name, COMMAND_QUEUES.name})
"""The topics of states that a request may change, whose copies go ahead of its answer."""
