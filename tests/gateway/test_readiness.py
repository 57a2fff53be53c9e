"""What a gateway says of its parts while the broker is frozen."""

from typing import Any

from gateway.running import Gateway
from gateway.settings import GatewaySettings
from tests.stack import EmbeddedStack, eventually, frozen


async def test_a_gateway_tells_that_its_producer_has_no_broker(own_stack: EmbeddedStack) -> None:
    gateway = Gateway.of(GatewaySettings(kafka_bootstrap_servers=own_stack.kafka))

    def producer() -> Any:
        parts: Any = gateway.look().report()["parts"]
        return parts["producer"]

    await gateway.producer.start()
    try:
        assert producer() == "ok"
        with frozen(own_stack.broker.pid):
            await eventually(lambda: producer() == "the broker is away", within_seconds=20)
        await eventually(lambda: producer() == "ok", within_seconds=20)
    finally:
        await gateway.producer.stop()
