"""What must hold of a service's data: rules, each a question for those that break it."""

import sys
from collections.abc import Mapping

import asyncpg

from chassis import clock
from chassis.log import get_logger
from chassis.settings import ServiceSettings

log = get_logger()

_CLOCK = "with clock (now) as (select $1::timestamptz)"
"""Questions may read `clock.now`, so that tests can move time."""


async def violations(
    rules: Mapping[str, str], db: "asyncpg.Connection[asyncpg.Record]"
) -> dict[str, list[str]]:
    """For each rule that does not hold, up to ten of those that break it."""
    found = {
        rule: [row[0] for row in await db.fetch(f"{_CLOCK} {question} limit 10", clock.now())]
        for rule, question in rules.items()
    }
    return {rule: guilty for rule, guilty in found.items() if guilty}


async def check(rules: Mapping[str, str], settings: ServiceSettings) -> None:
    """Log each rule that does not hold, and end with 1 if there is one."""
    assert settings.dsn is not None, "set SPOTKEEPER_DSN"
    db = await asyncpg.connect(settings.dsn.get_secret_value())
    try:
        found = await violations(rules, db)
    finally:
        await db.close()
    for rule, guilty in found.items():
        log.error("rule broken", rule=rule, of=guilty)
    if found:
        sys.exit(1)
    log.info("all rules hold", rules=len(rules))
