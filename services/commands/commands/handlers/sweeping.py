"""What the clock brings about."""

from collections.abc import Sequence

from chassis.transaction import Tx
from commands.handlers.metering import meter_due
from commands.handlers.settling import settle_due


async def sweep(partitions: Sequence[int], tx: Tx) -> bool:
    """Settle agents and meter switches of these partitions; tells whether more is due."""
    more = await settle_due(partitions, tx)
    return await meter_due(partitions, tx) or more
