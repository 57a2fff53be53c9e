"""The registry and commands, joined as the bus joins them: only within a topic is there order."""

import random
from collections import defaultdict, deque
from collections.abc import Sequence

from chassis.testing import Scene
from commands.app import service as commands
from registry.app import service as registry
from spotkeeper_contracts import Message, Refusal, Refused, Reply, Request, Topic

SERVICES = {"registry": registry, "commands": commands}


class Bus:
    """Two services and what lies between them; nothing is handled before somebody delivers it."""

    def __init__(self, scenes: dict[str, Scene], chance: random.Random) -> None:
        self.scenes = scenes
        self._chance = chance
        self._queues: dict[tuple[str, str], deque[Message]] = defaultdict(deque)

    async def ask(self, request: Request) -> Reply | Request | Refusal | None:
        """Put a request to its owner now; one that is handed on waits for its turn."""
        [owner] = request.topic.read_by
        scene = self.scenes[owner]
        writes = scene.db.writes
        try:
            answer = await scene.handle(request)
        except Refused as refused:
            assert scene.emitted == [], f"{request.type} was refused after it had told something"
            assert scene.db.writes == writes, f"{request.type} was refused after it had written"
            return refused.refusal
        self._send(scene.emitted)
        if isinstance(answer, Request):
            self._send([answer])
        return answer

    async def deliver(self, *, at_most: int) -> int:
        """Deliver messages, each from any queue; how many there were."""
        for count in range(at_most):
            filled = [place for place, queue in self._queues.items() if queue]
            if not filled:
                return count
            place = self._chance.choice(filled)
            message = self._queues[place].popleft()
            if isinstance(message, Request):
                await self.ask(message)
                continue
            scene = self.scenes[place[1]]
            await scene.handle(message)
            self._send(scene.emitted)
        return at_most

    async def settle(self) -> None:
        """Deliver all there is, and let the clock do what is due, until nothing is left."""
        while await self.deliver(at_most=1000) or await self.sweep():
            pass

    async def sweep(self) -> bool:
        """Let the clock do what is due; whether that told anything."""
        scene = self.scenes["commands"]
        await scene.sweep()
        self._send(scene.emitted)
        return bool(scene.emitted)

    def _send(self, messages: Sequence[Message]) -> None:
        for message in messages:
            for name in self._readers(message.topic, message):
                self._queues[message.topic.name, name].append(message)

    def _readers(self, topic: Topic, message: Message) -> list[str]:
        return [
            name
            for name, service in SERVICES.items()
            if name in topic.read_by and type(message) in service.handlers
        ]
