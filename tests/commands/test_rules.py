"""Replicas, emergencies and pools: what is decided about them, each rule as a table of cases."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from chassis.testing import example
from commands.rules import emergencies, lifecycle, pools, standby
from commands.rules.emergencies import Action, Outcome, Threat
from commands.rules.pools import Pool
from commands.rules.standby import Standby
from spotkeeper_contracts import Refused
from spotkeeper_contracts.agents import AgentState
from spotkeeper_contracts.commands import CommandStatus
from spotkeeper_contracts.configs import AgentConfig
from spotkeeper_contracts.emergencies import RebalanceAction, TerminationAction
from spotkeeper_contracts.instances import Instance
from spotkeeper_contracts.replicas import ReplicaKind, ReplicaStatus
from tests.commands.fleet import HOME, agent

NOW = datetime(2024, 11, 26, 10, tzinfo=UTC)
OTHER = "i-other"
ENDED = sorted(lifecycle.ENDED)


def replica(number: int = 1, **known: Any) -> Standby:
    """A live manual replica that holds all data, the higher its number the younger."""
    told = {
        "id": UUID(int=number),
        "kind": ReplicaKind.MANUAL,
        "status": ReplicaStatus.READY,
        "is_kept": False,
        "instance_id": f"i-replica-{number}",
        "created_at": NOW + timedelta(seconds=number),
        **known,
    }
    return Standby(**told)


LAUNCHING = replica(3, status=ReplicaStatus.LAUNCHING, instance_id=None)
SYNCING = replica(2, status=ReplicaStatus.SYNCING)
READY = replica(4)


@pytest.mark.parametrize(
    ("status", "told", "answer"),
    [
        ("launching", "launching", False),
        ("launching", "syncing", True),
        ("launching", "ready", True),
        ("launching", "failed", True),
        ("syncing", "ready", True),
        ("syncing", "launching", "INVALID_TRANSITION"),
        ("syncing", "promoted", "INVALID_TRANSITION"),
        ("ready", "syncing", True),
        ("ready", "terminated", True),
        ("ready", "promoted", "INVALID_TRANSITION"),
        ("promoted", "promoted", False),
        ("promoted", "ready", "REPLICA_ENDED"),
        ("failed", "ready", "REPLICA_ENDED"),
        ("terminated", "terminated", False),
        ("terminated", "failed", "REPLICA_ENDED"),
    ],
)
def test_what_a_replica_may_be_said_to_be(status: str, told: str, answer: bool | str) -> None:
    if isinstance(answer, bool):
        assert standby.may_report(ReplicaStatus(status), ReplicaStatus(told)) is answer
        return
    with pytest.raises(Refused) as refused:
        standby.may_report(ReplicaStatus(status), ReplicaStatus(told))
    assert (refused.value.refusal.code, refused.value.refusal.status) == (answer, 409)


@pytest.mark.parametrize(
    ("status", "percentage", "after"),
    [
        ("syncing", 95.0, "ready"),
        ("syncing", 94.9, "syncing"),
        ("ready", 10.0, "ready"),
        ("launching", 95.0, "ready"),
        ("launching", 0.0, "syncing"),
    ],
)
def test_enough_data_makes_a_replica_ready(status: str, percentage: float, after: str) -> None:
    assert standby.after_sync(ReplicaStatus(status), percentage, AgentConfig()) == after


@pytest.mark.parametrize(
    ("settings", "live", "missing", "superfluous"),
    [
        ({}, [], 0, []),
        ({"manual_replica_enabled": True}, [], 1, []),
        ({"manual_replica_enabled": True, "replica_count": 3}, [READY], 2, []),
        ({"manual_replica_enabled": True, "replica_count": 999}, [], 100, []),
        ({"manual_replica_enabled": True, "enabled": False}, [], 0, []),
        ({"manual_replica_enabled": True}, [replica(kind=ReplicaKind.EMERGENCY)], 1, []),
        ({"manual_replica_enabled": True}, [replica(is_kept=True), READY], 0, []),
        ({"manual_replica_enabled": True}, [replica(1, is_kept=True), replica(2, is_kept=True)],
         0, [2]),
        ({"manual_replica_enabled": True},
         [replica(1, is_kept=True, status=ReplicaStatus.SYNCING), replica(2, is_kept=True),
          replica(3, is_kept=True, status=ReplicaStatus.LAUNCHING)], 0, [3, 1]),
        ({}, [replica(1, is_kept=True), READY], 0, [1]),
        ({}, [READY], 0, []),
    ],
)  # fmt: skip
def test_manual_mode_keeps_as_many_replicas_as_it_is_told(
    settings: dict[str, Any], live: list[Standby], missing: int, superfluous: list[int]
) -> None:
    config = AgentConfig(**settings)
    assert standby.missing(config, live) == missing
    found = [one.id.int for one in standby.superfluous(config, live)]
    assert found == superfluous


@pytest.mark.parametrize(
    ("live", "best"),
    [
        ([], None),
        ([LAUNCHING], None),
        ([LAUNCHING, SYNCING], SYNCING),
        ([SYNCING, READY], READY),
        ([replica(6), READY], READY),
    ],
)
def test_a_ready_replica_takes_over_before_one_that_syncs(
    live: list[Standby], best: Standby | None
) -> None:
    assert standby.best(live) == best


@pytest.mark.parametrize(
    ("settings", "live", "awaited", "action", "replica_id"),
    [
        ({}, [], [], "replica_created", None),
        ({}, [LAUNCHING], [], "replica_created", None),
        ({}, [LAUNCHING], [LAUNCHING.id], "replica_created", LAUNCHING.id),
        ({}, [], [LAUNCHING.id, None], "replica_created", None),
        ({}, [LAUNCHING, SYNCING], [LAUNCHING.id], "replica_ready", SYNCING.id),
        ({"auto_create_replica": False}, [], [], "no_action", None),
        ({"enabled": False}, [], [], "no_action", None),
        ({"auto_create_replica": False}, [READY], [], "replica_ready", READY.id),
        ({"enabled": False}, [LAUNCHING], [LAUNCHING.id], "replica_created", LAUNCHING.id),
    ],
)
def test_the_answer_to_a_rebalance_recommendation(
    settings: dict[str, Any],
    live: list[Standby],
    awaited: list[UUID | None],
    action: str,
    replica_id: UUID | None,
) -> None:
    found = emergencies.answer_to_rebalance(AgentConfig(**settings), live, awaited=awaited)
    assert found == (RebalanceAction(action), replica_id)


@pytest.mark.parametrize(
    ("state", "live", "action", "replica"),
    [
        (agent(), [], "switch_to_ondemand", None),
        (agent(), [LAUNCHING], "promotion_pending", LAUNCHING),
        (agent(), [LAUNCHING, SYNCING], "replica_promoted", SYNCING),
        (agent(), [SYNCING, READY], "replica_promoted", READY),
        (agent({"auto_switch_enabled": False}), [], "switch_to_ondemand", None),
        (agent({"enabled": False}), [READY], "no_action", None),
        (agent(instance_id=OTHER), [READY], "no_action", None),
        (agent(instance_id=None), [READY], "replica_promoted", READY),
    ],
)
def test_the_answer_to_a_termination_notice(
    state: AgentState, live: list[Standby], action: str, replica: Standby | None
) -> None:
    found = emergencies.answer_to_termination(state, HOME, live)
    assert found == (TerminationAction(action), replica)


def threat(action: str, **known: Any) -> Threat:
    """A threat to the agent's home, met with this."""
    told = {
        "action": Action(action),
        "instance_id": HOME,
        "expires_at": NOW + timedelta(hours=2),
        "ends_at": None,
        "replica_status": None,
        "replica_instance_id": None,
        "command_status": None,
        **known,
    }
    return Threat(**told)


STANDS = {"replica_status": ReplicaStatus.READY}
LOST = {"replica_status": ReplicaStatus.FAILED}
OVER = {"expires_at": NOW}


@pytest.mark.parametrize(
    ("one", "state", "outcome"),
    [
        (threat("replica_ready", **STANDS), agent(), "pending"),
        (threat("replica_ready", **STANDS, **OVER), agent(), "expired"),
        (threat("replica_ready", **LOST), agent(), "failed"),
        (threat("replica_ready", **LOST), agent(instance_id=OTHER), "success"),
        (threat("replica_ready", **STANDS), agent(instance_id=OTHER), "success"),
        (threat("replica_ready", **STANDS), agent(instance_id=None), "pending"),
        (threat("replica_ready", **STANDS), agent(deleted=True), "expired"),
        (threat("replica_promoted", replica_status=ReplicaStatus.PROMOTED), agent(), "success"),
        (threat("switch_to_ondemand", command_status=CommandStatus.QUEUED), agent(), "pending"),
        (threat("switch_to_ondemand", command_status=CommandStatus.SUCCEEDED), agent(), "success"),
        *(
            (threat("switch_to_ondemand", command_status=status), agent(), "failed")
            for status in ENDED
            if status is not CommandStatus.SUCCEEDED
        ),
    ],
)
def test_what_becomes_of_an_emergency(one: Threat, state: AgentState, outcome: str) -> None:
    assert emergencies.outcome_of(one, state, NOW) is Outcome(outcome)


@pytest.mark.parametrize(
    ("action", "outcome", "settings", "goes_on_demand"),
    [
        ("promotion_pending", "failed", {}, True),
        ("replica_promoted", "failed", {}, True),
        ("promotion_pending", "expired", {}, False),
        ("promotion_pending", "failed", {"enabled": False}, False),
        ("emergency_replica_created", "failed", {}, False),
        ("switch_to_ondemand", "failed", {}, False),
    ],
)
def test_a_termination_whose_replica_is_lost_still_has_an_answer(
    action: str, outcome: str, settings: dict[str, Any], goes_on_demand: bool
) -> None:
    one, state = threat(action), agent(settings)
    found = emergencies.should_go_on_demand(one, Outcome(outcome), state, NOW)
    assert found is goes_on_demand


def pool(name: str, risk: float | None = 0.1, price: float | None = 0.01) -> Pool:
    """A pool named for its zone."""
    return Pool(pool_id=name, az=name[-10:], risk_1h=risk, price_usd_per_hour=price)


A, B, C = (f"t3.medium.us-east-1{letter}" for letter in "abc")


@pytest.mark.parametrize(
    ("known", "preferred", "taken", "safest"),
    [
        ([], [], [], B),
        ([pool(A)], [], [], B),
        ([], [], [B], C),
        ([], [], [B, C], B),
        ([pool(A, 0.0), pool(B), pool(C, 0.05)], [], [], C),
        ([pool(B, price=0.02), pool(C, price=0.01)], [], [], C),
        ([pool(B), pool(C, price=None)], [], [], B),
        ([pool("us-east-1a-pool-2.us-east-1a", 0.0), pool(C, 0.9)], [], [], C),
        ([pool(B, 0.5), pool(C)], [B], [], B),
        ([pool(C)], ["never-heard-of"], [], "never-heard-of"),
        ([pool(C)], [A], [], C),
        ([pool(B), pool(C)], [], [B], C),
        ([pool(B), pool(C, 0.5)], [], [B], B),
        ([pool(B)], [], [B], B),
    ],
)
def test_the_safest_pool_for_a_replica(
    known: list[Pool], preferred: list[str], taken: list[str], safest: str
) -> None:
    state = agent({"preferred_replica_pools": preferred}, current_pool_id=A)
    assert pools.safest_pool(state, known, taken=taken).pool_id == safest


@pytest.mark.parametrize(
    ("changes", "lies_in"),
    [
        ({"pool_id": "us-east-1b-pool-1"}, "us-east-1b-pool-1"),
        ({"pool_id": None}, "t3.medium.us-east-1a"),
        ({"mode": "ondemand"}, None),
    ],
)
def test_where_an_instance_lies(changes: dict[str, Any], lies_in: str | None) -> None:
    assert example(Instance, **changes).spot_pool == lies_in


@pytest.mark.parametrize(
    ("name", "az"),
    [("us-east-1b-pool-1", "us-east-1b"), (C, "us-east-1c"), ("anything", "us-east-1a")],
)
def test_a_pool_that_is_only_named_lies_where_its_name_says(name: str, az: str) -> None:
    assert pools.pool_named(name, agent()).az == az
