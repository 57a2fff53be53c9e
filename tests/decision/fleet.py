"""An agent of a test's own, its market, and what it does with the decision service."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import pytest

from chassis import clock
from chassis.testing import Scene, example
from decision.engine import engine_of
from spotkeeper_contracts import Message, Refused, Request
from spotkeeper_contracts.agents import AgentRequest, AgentState
from spotkeeper_contracts.commands import Command, CommandQueued
from spotkeeper_contracts.configs import AgentConfig
from spotkeeper_contracts.decisions import (
    Decide,
    DecisionAnswer,
    DecisionDetail,
    DecisionMade,
    ExplainDecision,
    GateVerdict,
    GetRecommendation,
    RecommendationAnswer,
    ReportPricing,
)
from spotkeeper_contracts.emergencies import EmergencyOpened
from spotkeeper_contracts.instances import Instance, InstanceTerminated
from spotkeeper_contracts.pools import EngineState
from spotkeeper_contracts.switches import SwitchCompleted

HERE, THERE = "us-east-1a-pool-1", "us-east-1b-pool-1"
GROUP = "t3.medium.us-east-1"
ONDEMAND = 0.0416
M = TypeVar("M", bound=Message)


class OneAgent:
    """One agent of a client, as the registry tells of it."""

    def __init__(self, decided: Scene, *, client_id: UUID | None = None, **state: Any) -> None:
        self.scene = decided
        self.id = clock.new_id()
        told = {
            "client_id": client_id or clock.new_id(),
            "revision": 1,
            "status": "online",
            "instance_id": f"i-{self.id}",
            "current_pool_id": HERE,
            "config": AgentConfig(),
            **state,
        }
        self.state = example(AgentState, agent_id=self.id, **told)

    async def ask(self, kind: type[Request], **fields: Any) -> Any:
        """Put a request about this agent."""
        if issubclass(kind, AgentRequest):
            fields = {"agent": self.state, **fields}
        fields = {"agent_id": self.id, "client_id": self.state.client_id, **fields}
        return await self.scene.handle(example(kind, **fields))

    async def refusal(self, kind: type[Request], **fields: Any) -> str:
        """The code that a request is refused with."""
        with pytest.raises(Refused) as refused:
            await self.ask(kind, **fields)
        return refused.value.refusal.code

    async def changes(self, **state: Any) -> None:
        """Let the registry tell another state; settings are given as `config`."""
        config = self.state.config.model_copy(update=state.pop("config", {}))
        changed = {"revision": self.state.revision + 1, "config": config, **state}
        self.state = self.state.model_copy(update=changed)
        await self.scene.handle(self.state)

    async def is_known(self) -> None:
        """Let the registry tell of the agent for the first time."""
        await self.scene.handle(self.state)

    async def decides(
        self,
        pools: Mapping[str, float] | None = None,
        *,
        ondemand: float = ONDEMAND,
        price: float = 0.0104,
        uptime_hours: float = 24,
        **current: Any,
    ) -> DecisionAnswer:
        """Ask for a decision; without more it is the one of the documentation."""
        offered = {THERE: 0.0098} if pools is None else pools
        answer = await self.ask(
            Decide,
            situation={
                "current_state": {
                    "instance_id": self.state.instance_id,
                    "instance_type": self.state.instance_type,
                    "current_mode": "spot",
                    "current_pool": self.state.current_pool_id,
                    "current_price": price,
                    **current,
                },
                "pricing_data": {
                    "available_pools": [
                        {"pool_id": id, "price": price} for id, price in offered.items()
                    ],
                    "ondemand_price": ondemand,
                },
                "metrics": {"uptime_hours": uptime_hours, "interruption_count": 0},
            },
        )
        assert isinstance(answer, DecisionAnswer)
        return answer

    async def decides_on_demand(
        self, pools: Mapping[str, float] | None = None, **more: Any
    ) -> DecisionAnswer:
        """Ask for a decision as one that runs on demand."""
        ondemand = {"current_mode": "ondemand", "current_pool": None, "current_price": None}
        return await self.decides(pools, **{**ondemand, **more})

    async def recommendation(self) -> RecommendationAnswer:
        """What would be decided."""
        answer = await self.ask(GetRecommendation)
        assert isinstance(answer, RecommendationAnswer)
        return answer

    async def explained(self) -> DecisionDetail:
        """The last decision."""
        answer = await self.ask(ExplainDecision)
        decision: DecisionDetail = answer.decision
        return decision

    async def gate(self, name: str, pool_id: str | None = THERE) -> GateVerdict:
        """A gate of one choice of the last decision."""
        decision = await self.explained()
        choice = next(c for c in decision.choices if c.pool_id == pool_id)
        return next(gate for gate in choice.gates if gate.name == name)

    async def reports(self, prices: Mapping[str, float], **fields: Any) -> int:
        """Report prices; how many were new."""
        moment = fields.pop("timestamp", None)
        told = [
            {"pool_id": id, "az": "us-east-1b", "price": price, "timestamp": moment}
            for id, price in prices.items()
        ]
        report = {"spot_prices": told, "on_demand_price": ONDEMAND, **fields}
        answer = await self.ask(ReportPricing, report=report)
        count: int = answer.records_inserted
        return count

    async def kept(self, pool_id: str = THERE) -> list[tuple[datetime, float]]:
        """All kept prices of a pool of its group with their moments, oldest first."""
        rows = await self.scene.db.raw.fetch(
            "select at, price_usd_per_hour from pool_prices"
            " where client_id = $1 and pool_group = $2 and pool_id = $3 order by at",
            *(self.state.client_id, GROUP, pool_id),
        )
        return [(row["at"], row["price_usd_per_hour"]) for row in rows]

    async def kept_prices(self, pool_id: str = THERE) -> list[float]:
        """All kept prices of a pool of its group, oldest first."""
        return [price for _, price in await self.kept(pool_id)]

    async def opens(self, kind: str, **fields: Any) -> None:
        """Let an emergency be opened for its instance."""
        told = {"kind": kind, "instance_id": self.state.instance_id, "at": clock.now(), **fields}
        await self.scene.handle(
            example(EmergencyOpened, agent_id=self.id, client_id=self.state.client_id, **told)
        )

    async def is_noticed(self, **fields: Any) -> None:
        """Let AWS announce that it takes the instance away."""
        await self.opens("termination_notice", **fields)

    def terminated(self, **fields: object) -> InstanceTerminated:
        """The end of its instance by AWS, as the registry tells of it."""
        told = {
            "instance_id": self.state.instance_id,
            "was_primary": True,
            "reason": "aws_termination",
            "mode": "spot",
            "pool_id": self.state.current_pool_id,
            "at": clock.now(),
            **fields,
        }
        return example(InstanceTerminated, agent_id=self.id, client_id=self.state.client_id, **told)

    async def switches(
        self,
        pool_id: str | None,
        *,
        trigger: str = "automatic",
        at: datetime | None = None,
        is_named: bool = True,
        az: str = "us-east-1a",
        **fields: Any,
    ) -> None:
        """Let a switch be completed, and the agent's state follow; a report may name no pool."""
        old = self._instance(self.state.current_pool_id, self.state.instance_id)
        new = self._instance(pool_id, f"i-{clock.new_id()}", az=az)
        if not is_named:
            new = new.model_copy(update={"pool_id": None})
        await self.scene.handle(
            example(
                SwitchCompleted,
                agent_id=self.id,
                client_id=self.state.client_id,
                trigger=trigger,
                old_instance=old,
                new_instance=new,
                at=at or clock.now(),
                **{"switch_id": clock.new_id(), **fields},
            )
        )
        await self.changes(
            instance_id=new.instance_id, current_pool_id=pool_id, current_mode=new.mode
        )

    async def is_queued(self, **fields: object) -> Command:
        """Let the switch of the loop be queued."""
        told = {
            "priority": 25,
            "target_mode": "spot",
            "target_pool": THERE,
            "created_at": clock.now(),
            "expires_at": clock.now().replace(year=2100),
            **fields,
        }
        command = example(
            Command,
            command_id=clock.new_id(),
            command_type="switch",
            parameters={"trigger": "automatic"},
            **told,
        )
        ids = {"agent_id": self.id, "client_id": self.state.client_id}
        await self.scene.handle(example(CommandQueued, command=command, **ids))
        return command

    async def acts(self) -> list[Message]:
        """Let the loop hear of the last decision; what it asks for."""
        [made] = self.emitted(DecisionMade)
        await self.scene.handle(made)
        return list(self.scene.emitted)

    def emitted(self, kind: type[M]) -> list[M]:
        """What the last message made the service say, of one type."""
        return [message for message in self.scene.emitted if isinstance(message, kind)]

    def _instance(self, pool_id: str | None, instance_id: str | None, **where: Any) -> Instance:
        mode = "ondemand" if pool_id is None else "spot"
        return example(Instance, instance_id=instance_id, pool_id=pool_id, mode=mode, **where)


def later(**span: float) -> None:
    """Let the clock run ahead of the true time by this much in all."""
    clock.move(timedelta(**span))


async def look(acted: Scene) -> EngineState:
    """Let the process look for models, though it did so just now; what it says of itself."""
    engine = engine_of(acted.tx.settings)
    engine.looked_at = engine.told_at = float("-inf")
    await acted.sweep()
    return next(one for one in acted.emitted if isinstance(one, EngineState))
