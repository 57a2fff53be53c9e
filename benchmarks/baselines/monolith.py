"""The monolith: FastAPI, pydantic, and one updated row per heartbeat in PostgreSQL."""

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import asyncpg
from fastapi import FastAPI, Header, HTTPException

from benchmarks.baselines.plain import TOKENS, Answer, Heartbeat

pool: Any


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Open and close the pool."""
    global pool
    pool = await asyncpg.create_pool(os.environ["BENCH_DSN"], min_size=5, max_size=20)
    yield
    await pool.close()


app = FastAPI(lifespan=lifespan)


@app.post("/api/agents/{agent_id}/heartbeat")
async def heartbeat(
    agent_id: str, body: Heartbeat, authorization: Annotated[str, Header()]
) -> Answer:
    """Authenticate, update the agent's row, answer."""
    token = authorization.removeprefix("Bearer ")
    if hashlib.sha256(token.encode()).hexdigest() not in TOKENS:
        raise HTTPException(401)
    version = await pool.fetchval(
        "update bench_agents set last_heartbeat_at = now(), status = $2, current_mode = $3, "
        "current_pool_id = $4 where id = $1 returning config_version",
        agent_id,
        body.status,
        body.current_mode,
        body.current_pool_id,
    )
    return Answer(success=True, commands_pending=False, config_version=version)
