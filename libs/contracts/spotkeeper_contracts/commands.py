"""Commands as their owner tells of them: here, how many of an agent's wait to be fetched."""

from uuid import UUID

from spotkeeper_contracts.message import Message
from spotkeeper_contracts.topics import COMMAND_QUEUES
from spotkeeper_contracts.values import Count


class CommandQueue(Message, topic=COMMAND_QUEUES):
    """How many commands of an agent may be delivered now, and the highest priority among them."""

    agent_id: UUID
    client_id: UUID
    revision: int
    deliverable: Count
    highest_priority: int | None = None
