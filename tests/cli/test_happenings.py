"""Events in the words of the summary, held to the messages' own examples."""

from typing import Any

import pytest

from spotkeeper.happenings import QUIET, UnderWay, in_words
from spotkeeper_contracts import Message
from spotkeeper_contracts.agents import AgentPromoted, AgentUpdated
from spotkeeper_contracts.commands import (
    CommandDelivered,
    CommandFinished,
    CommandQueued,
    CommandStarted,
)
from spotkeeper_contracts.decisions import DecisionMade, Recommendation
from spotkeeper_contracts.emergencies import EmergencyChanged, EmergencyClosed, EmergencyOpened
from spotkeeper_contracts.examples import example
from spotkeeper_contracts.instances import InstanceBecameZombie, InstanceTerminated
from spotkeeper_contracts.presence import AgentWentOffline
from spotkeeper_contracts.replicas import ReplicaChanged
from spotkeeper_contracts.switches import SwitchCompleted

TOLD: list[type[Message]] = [
    *(AgentPromoted, AgentWentOffline, CommandFinished, CommandQueued, EmergencyClosed),
    EmergencyChanged,
    *(EmergencyOpened, InstanceBecameZombie, InstanceTerminated, ReplicaChanged, SwitchCompleted),
]


def data(of: type[Message], **changes: Any) -> dict[str, Any]:
    return example(of, **changes).model_dump(mode="json")


@pytest.mark.parametrize("kind", TOLD)
def test_what_happens_has_a_line_that_begins_with_its_name(kind: type[Message]) -> None:
    assert (in_words(kind.__name__, data(kind)) or "").split(" ")[0] == kind.__name__


def test_a_switch_is_told_from_where_to_where() -> None:
    words = in_words("SwitchCompleted", data(SwitchCompleted))
    told = example(SwitchCompleted)
    assert words == (f"SwitchCompleted {told.old_instance.pool_id} → {told.new_instance.pool_id}")


def test_a_decision_to_stay_is_not_worth_a_line() -> None:
    stay = data(DecisionMade, recommendation=Recommendation.STAY, target_pool=None)
    assert in_words("DecisionMade", stay) is None
    move = data(DecisionMade, recommendation=Recommendation.SWITCH, will_auto_execute=False)
    assert (in_words("DecisionMade", move) or "").endswith(", not by itself")


@pytest.mark.parametrize("kind", [CommandDelivered, CommandStarted, AgentUpdated])
def test_steps_in_between_have_no_line(kind: type[Message]) -> None:
    assert kind.__name__ in QUIET
    assert in_words(kind.__name__, data(kind)) is None


def test_what_is_under_way_is_counted_and_ends() -> None:
    now = UnderWay()
    queued = data(CommandQueued)
    opened = data(EmergencyOpened)
    now.follow("CommandQueued", queued)
    now.follow("CommandQueued", queued)
    now.follow("EmergencyOpened", opened)
    now.follow("SwitchCompleted", data(SwitchCompleted))
    assert now.line() == "switches 1 since the start · commands 1 open · emergencies 1 open"
    now.follow("CommandFinished", {**data(CommandFinished), "command": queued["command"]})
    now.follow("EmergencyClosed", {**data(EmergencyClosed), "emergency_id": opened["emergency_id"]})
    assert now.line() == "switches 1 since the start · commands 0 open · emergencies 0 open"
