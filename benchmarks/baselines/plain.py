"""The plain way over Kafka: FastAPI, pydantic, and one acknowledged send per heartbeat."""

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Literal

from aiokafka import AIOKafkaProducer
from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel

TOKENS = {hashlib.sha256(b"client-token").hexdigest(): "demo"}
producer: AIOKafkaProducer


class Heartbeat(BaseModel):
    """The documented body."""

    status: Literal["online", "degraded", "switching", "stopping", "error", "disabled"]
    timestamp: str | None = None
    current_mode: str | None = None
    current_pool_id: str | None = None
    spot_price: float | None = None
    ondemand_price: float | None = None


class Answer(BaseModel):
    """The documented answer."""

    success: bool
    commands_pending: bool
    config_version: int


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Open and close the producer."""
    global producer
    producer = AIOKafkaProducer(
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        acks="all",
        enable_idempotence=True,
        linger_ms=0,
    )
    await producer.start()
    yield
    await producer.stop()


app = FastAPI(lifespan=lifespan)


@app.post("/api/agents/{agent_id}/heartbeat")
async def heartbeat(
    agent_id: str, body: Heartbeat, authorization: Annotated[str, Header()]
) -> Answer:
    """Authenticate, send, wait for the acknowledgement."""
    token = authorization.removeprefix("Bearer ")
    if hashlib.sha256(token.encode()).hexdigest() not in TOKENS:
        raise HTTPException(401)
    await producer.send_and_wait(
        "bench-plain", body.model_dump_json().encode(), key=agent_id.encode()
    )
    return Answer(success=True, commands_pending=False, config_version=1)
