"""Prices that agents report: at length, with their heartbeats, or with a switch."""

import math
from datetime import datetime

from chassis.transaction import Tx
from decision import metrics
from decision.handlers.found import Known, agent_to_change, known_agent
from decision.places import Place
from decision.store import contexts, pools
from decision.store.pools import Told
from spotkeeper_contracts.decisions import PricesRecorded, ReportPricing
from spotkeeper_contracts.presence import AgentCameOnline, AgentReportedChange, AgentReportedPrice
from spotkeeper_contracts.switches import SwitchCompleted
from spotkeeper_contracts.values import PurchaseMode

PRICE_LIMIT = 1000.0


async def report_pricing(request: ReportPricing, tx: Tx) -> PricesRecorded:
    """Keep reported prices, each at its moment; one that lies ahead counts as of now."""
    agent = await agent_to_change(request, tx)
    report = request.report
    places = {
        price.pool_id: Place(report.instance_type, report.region, price.az)
        for price in report.spot_prices
    }
    await pools.add(tx.db, agent.client_id, places, at=tx.now)
    told = [
        Told(
            price.pool_id,
            places[price.pool_id].group,
            price.price,
            tx.now if price.timestamp is None else min(price.timestamp, tx.now),
        )
        for price in report.spot_prices
    ]
    kept = await pools.keep_prices(tx.db, agent.client_id, told, ondemand=report.on_demand_price)
    tx.count(metrics.PRICES_RECORDED.labels("report").inc, kept)
    same = (report.instance_type, report.region) == (agent.state.instance_type, agent.state.region)
    if same:
        await contexts.change(tx.db, agent.id, ondemand_price=report.on_demand_price)
    return PricesRecorded(records_inserted=kept)


async def agent_told_prices(
    event: AgentCameOnline | AgentReportedChange | AgentReportedPrice, tx: Tx
) -> None:
    """Keep the prices that came with a heartbeat."""
    agent = await known_agent(event.agent_id, event.client_id, tx)
    if agent is None or agent.state.deleted:
        return
    if _says_it_moved(event, agent):
        await contexts.change(tx.db, agent.id, told=None)
    ondemand = event.ondemand_price if _is_price(event.ondemand_price) else None
    if ondemand is not None:
        await contexts.change(tx.db, agent.id, ondemand_price=ondemand)
    if (event.current_mode or agent.state.current_mode) is not PurchaseMode.SPOT:
        return
    pool_id = event.current_pool_id or agent.state.current_pool_id
    if pool_id is None or event.spot_price is None or not _is_price(event.spot_price):
        return
    place = agent.place_of(pool_id)
    await pools.add(tx.db, agent.client_id, {pool_id: place}, at=tx.now)
    told = Told(pool_id, place.group, event.spot_price, min(event.last_heartbeat_at, tx.now))
    kept = await pools.keep_prices(
        tx.db, agent.client_id, [told], ondemand=ondemand, only_changes_at=tx.now
    )
    tx.count(metrics.PRICES_RECORDED.labels("heartbeat").inc, kept)


async def keep_prices_of_switch(event: SwitchCompleted, agent: Known, tx: Tx) -> None:
    """Keep the prices that came with the report of a switch, as those of any report."""
    ends = (
        (event.old_instance, event.pricing.old_spot),
        (event.new_instance, event.pricing.new_spot),
    )
    found = {
        instance.spot_pool: (Place(instance.instance_type, instance.region, instance.az), price)
        for instance, price in ends
        if instance.spot_pool is not None and price is not None
    }
    places = {pool_id: place for pool_id, (place, _) in found.items()}
    await pools.add(tx.db, agent.client_id, places, at=tx.now)
    at = min(event.at, tx.now)
    told = [Told(pool_id, place.group, price, at) for pool_id, (place, price) in found.items()]
    kept = await pools.keep_prices(tx.db, agent.client_id, told, ondemand=None)
    tx.count(metrics.PRICES_RECORDED.labels("switch").inc, kept)


def _says_it_moved(
    event: AgentCameOnline | AgentReportedChange | AgentReportedPrice, agent: Known
) -> bool:
    """Whether a heartbeat names another place than the agent's last decide request before it."""
    told = agent.told
    if told is None or event.last_heartbeat_at <= datetime.fromisoformat(told["at"]):
        return False
    is_spot = event.current_mode is not PurchaseMode.ONDEMAND
    named = event.current_pool_id if is_spot else None
    return (not is_spot or named is not None) and named != told["pool_id"]


def _is_price(price: float | None) -> bool:
    return price is not None and math.isfinite(price) and 0.0 <= price <= PRICE_LIMIT
