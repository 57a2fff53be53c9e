"""Telling an outage, which is waited for, from a bug, which is not."""

import asyncpg
from aiokafka.errors import KafkaError

from chassis.producer import BusUnavailable

_OUTAGES = (
    BusUnavailable,
    KafkaError,
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.TransactionRollbackError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InvalidCachedStatementError,
)


def is_outage(error: BaseException) -> bool:
    """Whether the same work may succeed later, as the database or the broker is to blame.

    A ValueError is asyncpg's word for a value of the wrong type, which no waiting mends.
    """
    return isinstance(error, _OUTAGES) and not isinstance(error, ValueError)
