"""The fold of the log: who is online by it, and that nothing but the log decides that."""

from collections.abc import Sequence
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heartbeat.rules import Limits, Partition, Record, Transition, flaw, fold, restored
from spotkeeper_contracts.presence import (
    AgentCameOnline,
    AgentReportedChange,
    AgentReportedPrice,
    AgentWentOffline,
    Beat,
)

LIMITS = Limits(offline_after_ms=120_000, deaf_gap_ms=3_000)
CLIENT = UUID(int=7)
AGENTS = [str(uuid5(CLIENT, str(number))) for number in range(3)]
SECOND = 1_000


def beat(agent: int = 0, status: str = "online", **fields: object) -> Beat:
    told = {"current_mode": "spot", "current_pool_id": "a", **fields}
    return Beat(AGENTS[agent], str(CLIENT), status, **told)  # type: ignore[arg-type]  # fields by name


class Log:
    """A partition's log, folded as it is written; a tick each second, as gateways append them."""

    def __init__(self) -> None:
        self.partition = Partition()
        self.records: list[Record] = []
        self.transitions: list[Transition] = []
        self.at_ms = 0

    def append(self, *beats: Beat) -> list[Transition]:
        record = Record(len(self.records), self.at_ms, beats)
        self.records.append(record)
        new = fold(self.partition, record, LIMITS)
        self.transitions += new
        return new

    def wait(self, seconds: int) -> list[Transition]:
        """Let time go by, with ticks."""
        found: list[Transition] = []
        for _ in range(seconds):
            self.at_ms += SECOND
            found += self.append()
        return found

    def go_deaf(self, seconds: int) -> None:
        """Let time go by without any record: nobody can be heard."""
        self.at_ms += seconds * SECOND


@pytest.fixture
def log() -> Log:
    return Log()


def kinds(transitions: Sequence[Transition]) -> list[str]:
    return [type(transition.message).__name__ for transition in transitions]


def test_the_first_beat_brings_an_agent_online_and_the_next_tells_nothing(log: Log) -> None:
    assert kinds(log.append(beat())) == ["AgentCameOnline"]
    assert log.append(beat()) == []


def test_an_agent_is_offline_after_more_than_the_limit(log: Log) -> None:
    log.append(beat())
    assert log.wait(120) == []
    (gone,) = log.wait(1)
    assert isinstance(gone.message, AgentWentOffline)
    assert gone.message.silent_seconds == 121.0
    assert log.wait(300) == []
    assert kinds(log.append(beat())) == ["AgentCameOnline"]


def test_time_in_which_nobody_could_be_heard_does_not_count(log: Log) -> None:
    log.append(beat())
    log.wait(60)
    log.go_deaf(3_600)
    log.append()
    assert log.wait(57) == []
    assert kinds(log.wait(1)) == ["AgentWentOffline"]


def test_an_agent_that_beats_through_an_outage_is_never_offline(log: Log) -> None:
    for _ in range(20):
        log.append(beat())
        log.wait(20)
        log.go_deaf(200)
    assert kinds(log.transitions) == ["AgentCameOnline"]


def test_a_goodbye_ends_the_watch_and_raises_no_alarm(log: Log) -> None:
    log.append(beat())
    assert kinds(log.append(beat(status="stopping"))) == ["AgentReportedChange"]
    assert log.wait(600) == []
    assert kinds(log.append(beat())) == ["AgentCameOnline"]


@pytest.mark.parametrize(
    "change",
    [
        {"status": "degraded"},
        {"current_mode": "ondemand", "current_pool_id": None},
        {"current_pool_id": "b"},
        {"agent_version": "4.0.1"},
    ],
)
def test_another_status_mode_pool_or_version_is_a_change(
    log: Log, change: dict[str, object]
) -> None:
    log.append(beat())
    (told,) = log.append(beat(**change))  # type: ignore[arg-type]  # fields by name
    assert isinstance(told.message, AgentReportedChange)
    assert log.append(beat(**change)) == []  # type: ignore[arg-type]  # fields by name


def test_what_a_beat_leaves_out_stays_as_it_was(log: Log) -> None:
    log.append(beat(spot_price=0.01, agent_version="4.0.0"))
    assert log.append(Beat(AGENTS[0], str(CLIENT), "online")) == []


def test_only_what_a_beat_says_is_told(log: Log) -> None:
    log.append(beat(agent_version="4.0.0"))
    for told in (
        *log.append(Beat(AGENTS[0], str(CLIENT), "degraded")),
        *log.append(Beat(AGENTS[0], str(CLIENT), "stopping")),
        *log.append(Beat(AGENTS[0], str(CLIENT), "online")),
    ):
        assert isinstance(told.message, AgentReportedChange | AgentCameOnline)
        said = told.message
        assert (said.current_mode, said.current_pool_id, said.agent_version) == (None, None, None)


def test_a_price_is_told_when_it_is_new_and_when_it_has_moved(log: Log) -> None:
    log.append(beat())
    (first,) = log.append(beat(spot_price=0.0100, ondemand_price=0.0416))
    assert isinstance(first.message, AgentReportedPrice)
    assert (first.message.spot_price, first.message.ondemand_price) == (0.0100, 0.0416)
    assert first.message.current_pool_id == "a"
    assert log.append(beat(spot_price=0.0104, ondemand_price=0.0416)) == []
    assert kinds(log.append(beat(spot_price=0.0106))) == ["AgentReportedPrice"]
    assert log.append(beat(spot_price=0.0102)) == []


def test_a_price_of_nothing_is_a_price(log: Log) -> None:
    log.append(beat(spot_price=0.0))
    assert log.append(beat(spot_price=0.0)) == []
    assert kinds(log.append(beat(spot_price=0.01))) == ["AgentReportedPrice"]


def test_a_record_that_was_taken_in_before_is_nothing(log: Log) -> None:
    log.append(beat())
    log.wait(10)
    for record in log.records:
        assert fold(log.partition, record, LIMITS) == []


def test_of_an_agents_beats_in_one_record_the_last_one_counts(log: Log) -> None:
    (told,) = log.append(beat(current_pool_id="a"), beat(current_pool_id="b"))
    assert isinstance(told.message, AgentCameOnline)
    assert told.message.current_pool_id == "b"


@pytest.mark.parametrize(
    "flawed",
    [
        Beat("no-id", str(CLIENT), "online"),
        Beat(AGENTS[0], "no-id", "online"),
        beat(status="offline"),
        beat(current_mode="reserved"),
        beat(current_pool_id="\n"),
    ],
)
def test_what_no_gateway_would_send_has_a_flaw(flawed: Beat) -> None:
    assert flaw(flawed) is not None
    assert flaw(beat()) is None


STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 1, 1, 2, 30, 121, 4_000]),
        st.lists(
            st.builds(
                beat,
                st.integers(0, 2),
                st.sampled_from(["online", "degraded", "stopping"]),
                spot_price=st.sampled_from([None, 0.01, 0.0101, 0.02]),
                agent_version=st.sampled_from([None, "4.0.0", "4.0.1"]),
            ),
            max_size=3,
        ),
    ),
    max_size=30,
)


def records_of(steps: list[tuple[int, list[Beat]]]) -> list[Record]:
    at_ms, records = 0, []
    for offset, (seconds, beats) in enumerate(steps):
        at_ms += seconds * SECOND
        records.append(Record(offset, at_ms, beats))
    return records


@given(STEPS, st.integers(0, 29))
def test_an_owner_that_takes_over_anywhere_tells_what_the_first_would_have_told(
    steps: list[tuple[int, list[Beat]]], cut: int
) -> None:
    records = records_of(steps)
    whole, first = Partition(), Partition()
    told = [t for record in records for t in fold(whole, record, LIMITS)]
    before = [t for record in records[:cut] for t in fold(first, record, LIMITS)]
    agents = [(id, True, seen) for id, seen in first.online.items()]
    agents += [(id, False, seen) for id, seen in first.absent.items()]
    second = restored(first.offset, first.at_ms, first.deaf_ms, agents)
    after = [t for record in records for t in fold(second, record, LIMITS)]
    # Those who fell silent at the same moment have no order among them.
    assert {t.id: t for t in before + after} == {t.id: t for t in told}
    assert dict(second.online) == dict(whole.online)
    assert second.absent == whole.absent


@given(STEPS)
def test_online_and_offline_take_turns_and_no_id_comes_twice(
    steps: list[tuple[int, list[Beat]]],
) -> None:
    partition = Partition()
    online: set[UUID] = set()
    ids = []
    for record in records_of(steps):
        for transition in fold(partition, record, LIMITS):
            ids.append(transition.id)
            message = transition.message
            if isinstance(message, AgentCameOnline):
                assert message.agent_id not in online
                online.add(message.agent_id)
            elif isinstance(message, AgentWentOffline):
                online.remove(message.agent_id)
            elif isinstance(message, AgentReportedChange) and message.status == "stopping":
                online.discard(message.agent_id)
    assert len(set(ids)) == len(ids)
