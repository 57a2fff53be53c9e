"""What the service takes, tells and counts is what is declared of it."""

import ast

from prometheus_client.metrics import MetricWrapperBase

import commands.metrics
from commands.app import service
from spotkeeper_contracts import TOPICS, Message, Request
from spotkeeper_contracts.replicas import PromoteInstance
from spotkeeper_contracts.topics import COMMANDS_REQUESTS
from tests.sources import SOURCES

OWN = [s for s in SOURCES if s.path.startswith("services/commands/commands/")]


def all_messages(of: type[Message] = Message) -> set[type[Message]]:
    """Every kind of message that a topic carries."""
    kinds = set(of.__subclasses__())
    return {k for k in kinds if hasattr(k, "topic")}.union(*(all_messages(k) for k in kinds))


def names(path_part: str) -> set[str]:
    """The names that some files of the service mention."""
    trees = [source.tree for source in OWN if path_part in source.path]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    return {node.id for node in nodes if isinstance(node, ast.Name)} | {
        node.attr for node in nodes if isinstance(node, ast.Attribute)
    }


def test_it_reads_the_topics_that_it_may_and_no_other() -> None:
    may = {name for name, topic in TOPICS.items() if "commands" in topic.read_by}
    assert {topic.name for topic in service.topics} == may


def test_it_answers_every_request_that_it_owns() -> None:
    owned = {m for m in all_messages() if issubclass(m, Request) and m.topic is COMMANDS_REQUESTS}
    asked = {m for m in service.handlers if issubclass(m, Request)}
    assert asked == owned


def test_a_promotion_may_be_ordered_by_it_and_recorded_by_the_registry() -> None:
    assert "commands" in PromoteInstance.topic.written_by
    assert {"gateway", "registry", "decision"} <= COMMANDS_REQUESTS.written_by


def test_every_event_of_its_topic_is_told_somewhere() -> None:
    own = {m.__name__ for m in all_messages() if m.topic.written_by == {"commands"}}
    assert own <= names("/handlers/"), own - names("/handlers/")


def test_every_metric_is_counted_somewhere() -> None:
    declared = {
        name for name, value in vars(commands.metrics).items()
        if isinstance(value, MetricWrapperBase)
    }  # fmt: skip
    assert declared == declared & names("/handlers/")
