"""The live summary of the fleet, read as any client could read it: over HTTP and from metrics."""

import asyncio
import json
from collections import Counter, deque
from dataclasses import dataclass, field

import httpx
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Group, RenderableType
from rich.text import Text

from chassis import clock
from spotkeeper.client import agents, events
from spotkeeper.happenings import UnderWay, in_words
from spotkeeper.screen import Screen
from spotkeeper.services import Surroundings

LOOK_SECONDS = 2.0
RETRY_SECONDS = 2.0
LINE_SECONDS = 10.0
RATE_LOOKS = 16
"""Half a minute, in which every agent beats once: the rate of a small fleet is then steady."""
EVENTS_SHOWN = 8


@dataclass
class Fleet:
    """What is known of the fleet now."""

    statuses: Counter[str] = field(default_factory=Counter)
    beats_per_second: float = 0.0
    events: deque[str] = field(default_factory=lambda: deque(maxlen=EVENTS_SHOWN))
    under_way: UnderWay = field(default_factory=UnderWay)
    names: dict[str, str] = field(default_factory=dict)
    """Logical ids by agent id."""
    gateway_answers: bool = True

    def hear(self, kind: str, text: str) -> bool:
        """Take an event into account; tells whether there is a new line to show."""
        data = json.loads(text)["data"]
        self.under_way.follow(kind, data)
        words = in_words(kind, data)
        if words is not None:
            at = clock.now().astimezone().strftime("%H:%M:%S")
            id = data.get("agent_id", "")
            self.events.append(f"{at} {self.names.get(id, id)} {words}")
        return words is not None

    def line(self) -> str:
        """All of it in one line."""
        offline = self.statuses["offline"]
        text = (
            f"agents {self.statuses.total() - offline} online, {offline} offline"
            f" · {self.beats_per_second:.1f} heartbeats/s"
        )
        return text if self.gateway_answers else f"{text} · the gateway does not answer"

    def screen(self) -> RenderableType:
        """The same with the last events, for a terminal."""
        events = [Text(f"  {event}", style="dim", no_wrap=True) for event in self.events]
        lines = Text(self.line(), style="bold"), Text(self.under_way.line())
        return Group(*lines, *events)


async def watch_fleet(around: Surroundings, operations: str, screen: Screen) -> None:
    """Show the fleet until cancelled; `operations` is the gateway's operations address."""
    fleet = Fleet()
    headers = {"Authorization": f"Bearer {around.client_token}"}
    async with (
        httpx.AsyncClient(base_url=around.gateway, headers=headers) as http,
        asyncio.TaskGroup() as watching,
    ):
        watching.create_task(_count_agents(http, fleet))
        watching.create_task(_count_beats(f"http://{operations}/metrics", fleet))
        watching.create_task(_listen(http, fleet, screen))
        if screen.is_terminal:
            with screen.live(fleet.screen):
                await asyncio.Event().wait()
        await _print_lines(fleet, screen)


async def _print_lines(fleet: Fleet, screen: Screen) -> None:
    """Without a terminal: a line whenever something differs, though not too often."""
    shown = ""
    while True:
        await asyncio.sleep(LINE_SECONDS)
        if (line := f"{fleet.line()} · {fleet.under_way.line()}") != shown:
            shown = line
            screen.show(shown)


async def _count_agents(http: httpx.AsyncClient, fleet: Fleet) -> None:
    while True:
        try:
            known = [agent async for agent in agents(http)]
            fleet.statuses = Counter(agent["status"] for agent in known)
            fleet.names = {agent["agent_id"]: agent["logical_agent_id"] for agent in known}
            fleet.gateway_answers = True
        except httpx.HTTPError:
            fleet.gateway_answers = False
        await asyncio.sleep(LOOK_SECONDS)


async def _count_beats(metrics: str, fleet: Fleet) -> None:
    """Follow the gateway's counter of beats; after its restart the counter begins anew."""
    counts: deque[tuple[float, float]] = deque(maxlen=RATE_LOOKS)
    async with httpx.AsyncClient() as http:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                text = (await http.get(metrics)).raise_for_status().text
            except httpx.HTTPError:
                continue
            if counts and _beats(text) < counts[-1][0]:
                counts.clear()
            counts.append((_beats(text), clock.monotonic()))
            (first, since), (last, now) = counts[0], counts[-1]
            fleet.beats_per_second = (last - first) / max(now - since, LOOK_SECONDS)


def _beats(metrics: str) -> float:
    return sum(
        sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name == "spotkeeper_beats_total" and sample.labels["outcome"] == "taken"
    )


async def _listen(http: httpx.AsyncClient, fleet: Fleet, screen: Screen) -> None:
    while True:
        try:
            async for kind, text in events(http):
                if fleet.hear(kind, text) and not screen.is_terminal:
                    screen.show(fleet.events[-1])
        except httpx.HTTPError:
            pass  # The gateway is away; the summary's first line says so.
        await asyncio.sleep(RETRY_SECONDS)
