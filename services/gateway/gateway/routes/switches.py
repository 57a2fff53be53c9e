"""Switches: asked for at the gate, reported when made, listed with what they saved."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, Field, Strict, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from gateway.auth import AGENTS, EVERYONE
from gateway.calls import Ask, AskOnce, Cursor, Limit, OwnAgent
from gateway.errors import (
    AGENT_DISABLED,
    ALREADY_ON_TARGET,
    AUTO_SWITCH_DISABLED,
    STALE_REPORT,
    SWITCH_IN_PROGRESS,
)
from gateway.lists import AS_JSON, Accept, in_csv_too, page_response
from gateway.routing import open_to, router
from gateway.values import Confidence, Done, Moment, Price, with_example
from spotkeeper_contracts.commands import CommandQueuedAnswer, Seconds
from spotkeeper_contracts.instances import Instance
from spotkeeper_contracts.switches import (
    IssueSwitch,
    ListSwitches,
    ReportSwitch,
    SwitchDetail,
    SwitchPage,
    SwitchPricing,
    SwitchReport,
    SwitchTiming,
)
from spotkeeper_contracts.values import Mode, PoolId, PurchaseMode, Text, assert_in_region

COLUMNS = (
    "switch_id",
    "timestamp",
    "command_id",
    "trigger",
    "old_instance.instance_id",
    "old_instance.mode",
    "old_instance.pool_id",
    "new_instance.instance_id",
    "new_instance.mode",
    "new_instance.pool_id",
    "pricing.old_spot",
    "pricing.new_spot",
    "pricing.on_demand",
    "downtime_seconds",
    "promised_savings_per_hour",
    "realised_savings",
    "is_settled",
)

routes = router("switches")

_OLD = {
    "instance_id": "i-1234567890abcdef0",
    "instance_type": "t3.medium",
    "mode": "spot",
    "pool_id": "us-east-1a-pool-1",
    "az": "us-east-1a",
    "region": "us-east-1",
    "ami_id": "ami-123456",
}
_REPORT = {
    "command_id": "0192f3a4-5b6c-7d8e-9f00-112233445566",
    "old_instance": _OLD,
    "new_instance": {
        **_OLD,
        "instance_id": "i-0fedcba9876543210",
        "pool_id": "us-east-1b-pool-3",
        "az": "us-east-1b",
    },
    "pricing": {"old_spot": 0.0104, "new_spot": 0.0098, "on_demand": 0.0416},
    "timing": {
        "initiated_at": "2024-11-26T10:00:00Z",
        "instance_launched_at": "2024-11-26T10:00:20Z",
        "instance_ready_at": "2024-11-26T10:01:05Z",
        "old_terminated_at": None,
    },
    "trigger": "manual",
    "downtime_seconds": 12.0,
}


class SwitchOrder(BaseModel):
    """Where to switch to; without a pool it must be on demand."""

    model_config = with_example(
        {"target_pool": "us-east-1b-pool-3", "confidence": 0.87, "reason": "cost_optimization"}
    )

    target_type: Mode = PurchaseMode.SPOT
    target_pool: Annotated[PoolId | None, Field(validate_default=True)] = None
    confidence: Confidence | None = None
    reason: Text | None = None
    max_price: Price | None = None

    @field_validator("target_pool")
    @classmethod
    def is_named_for_spot(cls, pool: str | None, info: ValidationInfo) -> str | None:
        """Only on demand there is no pool."""
        if pool is None and info.data.get("target_type") is PurchaseMode.SPOT:
            raise PydanticCustomError("missing", "Missing required field")
        return pool


class SwitchOrdered(BaseModel):
    """The command that tells the agent to switch."""

    model_config = with_example(
        {"command_id": "0192f3a4-5b6c-7d8e-9f00-112233445566", "success": True}
    )

    command_id: UUID
    success: bool = True


class ReportedInstance(Instance):
    """An instance and where it runs; one on demand has no pool."""

    @field_validator("region")
    @classmethod
    def has_the_zone(cls, region: str, info: ValidationInfo) -> str:
        """An availability zone is named for its region."""
        if "az" in info.data:
            assert_in_region(info.data["az"], region)
        return region


class ReportedPricing(SwitchPricing):
    """What an hour cost in the old pool, costs in the new one, and would cost on demand."""

    old_spot: Price | None = None
    new_spot: Price | None = None
    on_demand: Price | None = None


class ReportedTiming(SwitchTiming):
    """When the steps of a switch were taken, by the agent's clock."""

    initiated_at: Moment
    instance_launched_at: Moment | None = None
    instance_ready_at: Moment | None = None
    old_terminated_at: Moment | None = None


class SwitchReportBody(SwitchReport):
    """A switch that was made.

    `prices` is another name of `pricing`, and `old_instance_terminated_at`, in `timing` or beside
    it, another one of `old_terminated_at`.
    """

    model_config = with_example(_REPORT)

    old_instance: ReportedInstance
    new_instance: ReportedInstance
    pricing: ReportedPricing = Field(default=ReportedPricing())
    timing: ReportedTiming
    downtime_seconds: Annotated[Seconds, Strict()] | None = None

    @model_validator(mode="before")
    @classmethod
    def by_other_names(cls, given: Any) -> Any:
        """The report with each field under its own name."""
        return _by_own_names(given) if isinstance(given, dict) else given


class SwitchesBody(BaseModel):
    """Switches, newest first."""

    model_config = with_example(
        {
            "items": [
                {
                    "switch_id": "0192f3a4-5b6c-7d8e-9f00-112233445568",
                    **_REPORT,
                    "promised_savings_per_hour": 0.0006,
                    "realised_savings": 0.0123,
                    "is_settled": True,
                    "timestamp": "2024-11-26T10:01:10Z",
                }
            ],
            "next_cursor": "MTczMjYxNTIwMC4w",
        }
    )

    items: list[SwitchDetail]
    next_cursor: str | None


@routes.post(
    "/api/agents/{agent_id}/issue-switch-command",
    operation_id="issue_switch_command",
    status_code=201,
)
@open_to(AGENTS, AUTO_SWITCH_DISABLED, AGENT_DISABLED, ALREADY_ON_TARGET, SWITCH_IN_PROGRESS)
async def issue_switch_command(agent: OwnAgent, body: SwitchOrder, ask: AskOnce) -> SwitchOrdered:
    """Tell the agent to switch, if its config lets it; an open order to the same target stands."""
    is_spot = body.target_type is PurchaseMode.SPOT
    answer: CommandQueuedAnswer = await ask(
        IssueSwitch(
            **agent.ids,
            target_mode=body.target_type,
            target_pool=body.target_pool if is_spot else None,
            confidence=body.confidence,
            reason=body.reason,
            max_price=body.max_price,
        )
    )
    return SwitchOrdered(command_id=answer.command_id)


@routes.post("/api/agents/{agent_id}/switch-report", operation_id="report_switch")
@open_to(AGENTS, STALE_REPORT, fenced=False)
async def report_switch(agent: OwnAgent, body: SwitchReportBody, ask: AskOnce) -> Done:
    """Tell that the agent runs on a new instance: that is the primary now, in a new epoch."""
    await ask(ReportSwitch(**agent.ids, report=body))
    return Done()


@routes.get(
    "/api/agents/{agent_id}/switches",
    operation_id="list_switches",
    response_model=SwitchesBody,
    responses=in_csv_too(COLUMNS),
)
@open_to(EVERYONE, tells=("X-Next-Cursor",))
async def list_switches(
    agent: OwnAgent,
    ask: Ask,
    cursor: Cursor = None,
    limit: Limit = 50,
    accept: Accept = AS_JSON,
) -> Response:
    """The switches of an agent, with what each promised an hour and what it has saved so far.

    In CSV, `X-Next-Cursor` leads to the next page.
    """
    page: SwitchPage = await ask(ListSwitches(**agent.ids, cursor=cursor, limit=limit))
    told = page.model_copy(update={"items": [_rounded(switch) for switch in page.items]})
    return page_response(accept, SwitchesBody, told, COLUMNS)


def _rounded(switch: SwitchDetail) -> SwitchDetail:
    """The switch with its savings as other money is told: to a millionth of a dollar."""
    names = ("promised_savings_per_hour", "realised_savings")
    return switch.model_copy(update={name: round(getattr(switch, name), 6) for name in names})


def _by_own_names(given: dict[str, Any]) -> dict[str, Any]:
    """The fields of a report, each under its own name; what is null counts as left out."""
    report = {name: value for name, value in given.items() if value is not None}
    if "prices" in report:
        report.setdefault("pricing", report["prices"])
    timing = report.get("timing")
    if isinstance(timing, dict) and timing.get("old_terminated_at") is None:
        other = "old_instance_terminated_at"
        report["timing"] = {**timing, "old_terminated_at": timing.get(other) or report.get(other)}
    return report
