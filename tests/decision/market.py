"""Made-up pools, evidence and recordings for the tests of the decision engine."""

from typing import Any

import numpy as np

from decision.choices import HORIZON_HOURS, Policy, Pool, Risk, Standing
from decision.features import Evidence, PoolRecord
from decision.model import SHIPPED, Model, load
from decision.rules import Decision, decide

POLICY = Policy()
ON_DEMAND = 1.0
CALM = Risk(0.0, 0.0, 0.0, 0.0, HORIZON_HOURS, 0.0)


def shipped() -> Model:
    """The model that the project ships."""
    return load(SHIPPED)


def risk(within_an_hour: float, *, horizon: float = 0.0, hours: float = HORIZON_HOURS) -> Risk:
    """A risk of which the test cares for the hour alone."""
    return Risk(within_an_hour, within_an_hour, within_an_hour, within_an_hour, hours, horizon)


def pool(name: str, price: float | None, hour_risk: float = 0.0, **known: Any) -> Pool:
    """A pool whose price is known for a week."""
    known = {"history_hours": 168.0, **known}
    return Pool(name, price, risk(hour_risk), **known)


def decided(here: Pool | None, *pools: Pool, policy: Policy = POLICY, **standing: Any) -> Decision:
    """The decision of an agent there, at an on-demand price of 1 USD an hour."""
    return decide(Standing(here, **standing), pools, ON_DEMAND, policy)


def record(*notices: float, runs: float = 0.0) -> PoolRecord:
    """A pool where the fleet has run since `runs`, save for half an hour after each notice."""
    ends = np.array(notices)
    return PoolRecord(ends, np.concatenate([[runs], ends + 0.5]), ends)


def evidence(notices: list[list[float]], exposure: list[list[float]], **known: Any) -> Evidence:
    """Evidence of pools that are siblings unless `group` says otherwise."""
    pools = len(notices)
    known = {
        "hours_since_notice": np.full(pools, 168.0),
        "prior_per_h": np.full(pools, 1e-2),
        "group": np.zeros(pools, np.int64),
        **known,
    }
    return Evidence(np.array(notices, float), np.array(exposure, float), **known)
