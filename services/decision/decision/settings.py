"""What the decision service can be told beyond what every service can."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field

from chassis.settings import MOST, TEN_YEARS_HOURS, Days, Hours, Seconds, ServiceSettings
from decision.prior import PriorRates


class DecisionSettings(ServiceSettings):
    """Settings of the decision service."""

    model_file: Path | None = Field(
        None, description="ONNX file of the model, with its card beside it; unset: the shipped one."
    )
    shadow_file: Path | None = Field(
        None, description="ONNX file of a model that is scored and recorded, and never acts."
    )
    advisor_file: Path | None = Field(
        None, description="AWS's spot-advisor-data.json, maybe packed; unset: rates by class."
    )
    engine_name: str | None = Field(
        None, description="Name of this process in engine-state; unset: the name of its host."
    )
    engine_timeout_seconds: Seconds = Field(
        0.5, gt=0, description="Time after which the engine's answer is waited for no more."
    )
    engine_state_seconds: Seconds = Field(
        10.0, gt=0, description="How often the engine says how it is."
    )
    decision_fresh_seconds: Seconds = Field(
        300.0, ge=0, description="Age up to which a decision is repeated while the engine is away."
    )
    switching_share: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Share of a client's agents that may move to save money at once; at least one.",
    )
    issue_pending_seconds: Seconds = Field(
        60.0, gt=0, description="Time within which an issued switch is heard of, or was refused."
    )
    interruption_cost_hours: Hours = Field(
        1.0, ge=0, description="What an interruption costs, in hours at the on-demand price."
    )
    switch_cost_hours: Hours = Field(
        0.2, ge=0, description="What a move costs, in hours at the on-demand price."
    )
    overlap_minutes: float = Field(
        10.0,
        ge=0,
        le=TEN_YEARS_HOURS * 60,
        description="Time for which both instances of a move are paid.",
    )
    exit_factor: float = Field(
        1.33,
        ge=1,
        le=MOST,
        description="A pool is left when its risk is above the threshold times this.",
    )
    prior_bands: tuple[Annotated[float, Field(gt=0, le=MOST, allow_inf_nan=False)], ...] = Field(
        PriorRates().bands,
        min_length=5,
        max_length=5,
        description="Interruptions per hour by the advisor's band, 0 to 4.",
    )
    price_stale_hours: Hours = Field(
        24.0, gt=0, description="Age above which a price counts no more."
    )
    pool_rating_seconds: Seconds = Field(
        300.0,
        gt=0,
        description="How often a pool is rated though nothing was told of it; one without a price "
        "that counts, where nobody ran within a week, once a day.",
    )
    price_retention_days: Days = Field(30, ge=8, description="How long prices are kept.")
    evidence_retention_days: Days = Field(
        90, ge=8, description="How long interruptions and what ran where are kept."
    )
    decision_retention_days: Days = Field(90, ge=1, description="How long decisions are kept.")

    @property
    def prior_rates(self) -> PriorRates:
        """What is assumed of pools before any evidence."""
        return PriorRates(bands=self.prior_bands)

    @property
    def price_life(self) -> timedelta:
        """For so long a price counts."""
        return timedelta(hours=self.price_stale_hours)
