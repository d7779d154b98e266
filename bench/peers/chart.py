"""Chart: transfers a second of all contestants as an SVG, on a logarithmic scale: a block for each load and number."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from bench.peers.standing import Standing, loaded

_LEFT, _WIDTH, _BAR, _GAP = 150, 620, 15, 34
_INK, _GRID = "#57606a", "#d0d7de"
_OTHERS, _FLOORS = "#0969da", "#afb8c1"
_COLOURS = {"single": "#4ac26b", "express": "#2da44e", "bulk": "#116329", "DBOS": _OTHERS, "Restate": "#8250df"}


def rates(standings: Sequence[Standing]) -> str:
    """An SVG of bars. Files, which know no number in flight, are a block of their own for each load."""
    blocks: dict[tuple[bool, int], list[Standing]] = {}
    for standing in standings:
        blocks.setdefault((standing.cell.hot, standing.cell.in_flight), []).append(standing)
    low = math.floor(math.log10(min(standing.per_second for standing in standings)))
    high = math.ceil(math.log10(max(standing.per_second for standing in standings)))
    scale = _WIDTH / max(high - low, 1)
    height = 50 + sum(_GAP + _BAR * len(block) for block in blocks.values())
    parts = [_text(_LEFT, 20, "transfers a second (logarithmic; more is better)", weight="bold")]
    for power in range(low, high + 1):
        x = _LEFT + (power - low) * scale
        parts.append(f'<path d="M{x:.1f} 32V{height - 16}" stroke="{_GRID}"/>')
        parts.append(_text(x, height - 4, f"{10.0**power:,g}", anchor="middle"))
    y = 36.0
    for (hot, in_flight), block in sorted(blocks.items(), key=lambda item: (item[0][0], item[0][1] or math.inf)):
        parts.append(_text(_LEFT, y + 10, f"{loaded(hot)}, {f'{in_flight} in flight' if in_flight else 'in one file'}"))
        y += 16
        for standing in block:
            parts += _bar(standing, y, (math.log10(standing.per_second) - low) * scale)
            y += _BAR
        y += _GAP - 16
    size = f'width="{_LEFT + _WIDTH + 80}" height="{height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#ffffff"/>', *parts, "</svg>"]) + "\n"


def _bar(standing: Standing, y: float, length: float, colours: Mapping[str, str] = _COLOURS) -> list[str]:
    way, width = standing.cell.way, max(length, 1)
    box = f'x="{_LEFT}" y="{y + 1:.1f}" width="{width:.1f}" height="{_BAR - 2}"'
    return [
        _text(_LEFT - 8, y + 11, way, anchor="end"),
        f'<rect {box} fill="{colours.get(way, _FLOORS)}"/>',
        _text(_LEFT + width + 4, y + 11, f"{standing.per_second:,.0f}"),
    ]


def _text(x: float, y: float, text: str, weight: str = "normal", anchor: str = "start") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} font-weight="{weight}" fill="{_INK}">{escape(text)}</text>'
