"""Creating the declared topics, and seeing where the broker's differ from them."""

import asyncio
from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code

from chassis.log import get_logger
from spotkeeper_contracts import PARTITIONS, Topic

log = get_logger()

CONNECT_TRIES = 60
PAUSE_SECONDS = 0.5
_EXISTS = 36


class TopicError(Exception):
    """A topic could not be created, or differs from its declaration in what cannot be changed."""


async def create_topics(
    bootstrap_servers: str, topics: Iterable[Topic], *, replication_factor: int
) -> list[str]:
    """Create the topics that are missing and return how existing ones differ (drift).

    Raises `TopicError` if one cannot be made or has another number of partitions, since that would
    break the order per key.
    """
    topics = list(topics)
    admin = await _connect(bootstrap_servers)
    try:
        answer = await admin.create_topics(
            [
                NewTopic(topic.name, PARTITIONS, replication_factor, topic_configs=topic.config)
                for topic in topics
            ]
        )
        for name, code, *rest in answer.topic_errors:
            if code not in (0, _EXISTS):
                raise TopicError(f"cannot create {name}: {for_code(code).__name__} {rest}")
        return await _drift(admin, topics)
    finally:
        await admin.close()


async def _connect(bootstrap_servers: str) -> AIOKafkaAdminClient:
    for attempt in range(CONNECT_TRIES):
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
        try:
            await admin.start()
        except (KafkaError, OSError) as error:
            await admin.close()
            if attempt == CONNECT_TRIES - 1:
                raise TopicError(f"no broker at {bootstrap_servers}: {error}") from error
            await asyncio.sleep(PAUSE_SECONDS)
        else:
            return admin
    raise AssertionError("unreachable")


async def _drift(admin: AIOKafkaAdminClient, topics: list[Topic]) -> list[str]:
    found: list[str] = []
    for description in await admin.describe_topics([topic.name for topic in topics]):
        count = len(description["partitions"])
        if description["error_code"] == 0 and count != PARTITIONS:
            raise TopicError(f"{description['topic']} has {count} partitions, not {PARTITIONS}")
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in topics]
    declared = {topic.name: topic.config for topic in topics}
    for response in await admin.describe_configs(resources):
        for _, _, _, name, entries in response.resources:
            actual = {entry[0]: entry[1] for entry in entries}
            for key, value in declared[name].items():
                if actual.get(key) != value:
                    found.append(f"{name}: {key} is {actual.get(key)}, declared {value}")
    for difference in found:
        log.warning("topic drift", difference=difference)
    return found
