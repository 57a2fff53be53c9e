"""The cost over time of the policy and of what it is compared with, as an SVG of its own."""

from collections.abc import Mapping
from html import escape

import numpy as np

from decision.features import Floats

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 960, 480, 64, 48, 40, 190
COLOURS = ("#0b6e4f", "#8a8a8a", "#c0392b", "#1f4e9c")
MOST_POINTS = 600
LINES = 5


def svg_of(title: str, days: Floats, spent: Mapping[str, Floats]) -> str:
    """Cumulated cost per agent, in days of on-demand, one line per rule."""
    totals = {name: np.cumsum(values) for name, values in spent.items()}
    highest = max(float(total[-1]) for total in totals.values())
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="16">{escape(title)}</text>',
        *_grid(float(days[-1]), highest),
    ]
    for number, (name, total) in enumerate(totals.items()):
        parts += _line(name, days, total, highest, number)
    return "\n".join([*parts, "</svg>", ""])


def _grid(days: float, highest: float) -> list[str]:
    parts = []
    for step in range(LINES + 1):
        share = step / LINES
        x, y = _place(share, share)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{highest * share:.3g}</text>'
        )
        parts.append(
            f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">'
            f"{days * share:.3g}</text>"
        )
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">days</text>')
    return parts


def _line(name: str, days: Floats, total: Floats, highest: float, number: int) -> list[str]:
    chosen = np.unique(np.linspace(0, len(days) - 1, MOST_POINTS).astype(int))
    last = float(days[-1]) or 1.0
    places = (_place(float(days[i]) / last, float(total[i]) / highest) for i in chosen)
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    colour = COLOURS[number % len(COLOURS)]
    x, y = WIDTH - RIGHT + 12, TOP + 16 + 22 * number
    return [
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>',
        f'<path d="M{x} {y - 4}h18" stroke="{colour}" stroke-width="3"/>',
        f'<text x="{x + 24}" y="{y}">{escape(name)}</text>',
    ]


def _place(x: float, y: float) -> tuple[float, float]:
    """A point of the unit square, on the page."""
    across, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    return LEFT + x * across, HEIGHT - BOTTOM - y * down
