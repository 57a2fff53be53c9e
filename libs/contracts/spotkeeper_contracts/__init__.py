"""The messages of Spotkeeper, for everyone who reads or writes its topics.

Importing this package declares every topic (`TOPICS`) and every message (`MESSAGES`).
"""

from spotkeeper_contracts import (
    agents,
    clients,
    commands,
    configs,
    decisions,
    emergencies,
    instances,
    models,
    pools,
    presence,
    replicas,
    switches,
)
from spotkeeper_contracts.message import MESSAGES, Message, Refusal, Refused, Reply, Request, Value
from spotkeeper_contracts.topics import PARTITIONS, TOPICS, Kind, Topic

__all__ = [
    "MESSAGES",
    "PARTITIONS",
    "TOPICS",
    "Kind",
    "Message",
    "Refusal",
    "Refused",
    "Reply",
    "Request",
    "Topic",
    "Value",
    "agents",
    "clients",
    "commands",
    "configs",
    "decisions",
    "emergencies",
    "instances",
    "models",
    "pools",
    "presence",
    "replicas",
    "switches",
]
