"""Pools, as the decision service tells of them."""

from chassis.transaction import Tx
from commands.store import pools
from spotkeeper_contracts.pools import PoolState


async def pool_state(state: PoolState, tx: Tx) -> None:
    """Keep the pool's latest state, and its price if that has changed."""
    if state.client_id is None:  # It is from before pools had clients, so it is nobody's.
        return
    if not await pools.keep(tx.db, state) or state.price_usd_per_hour is None:
        return
    await pools.see_price(tx.db, state.client_id, state, state.price_usd_per_hour)
