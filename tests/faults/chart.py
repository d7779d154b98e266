"""Chart: the storm's timeline as an SVG. Faults above, a lane for each kind; transfers settled below."""

from collections.abc import Sequence
from html import escape
from itertools import pairwise

from tests.faults.findings import Line

_LEFT, _WIDTH, _LANE, _BARS = 250, 900, 16, 160
_INK, _FAULT, _BAR, _HEAL = "#57606a", "#cf222e", "#2da44e", "#0969da"


def timeline(title: str, points: Sequence[Line]) -> str:
    """An SVG of points: a `fault` of a `kind` that lasts for `seconds`, `settled` with a `count`, or `healed`."""
    end = max(point["at"] for point in points) or 1.0
    settled = [point for point in points if point["what"] == "settled"]
    healed = [point["at"] for point in points if point["what"] == "healed"]
    faults = [point for point in points if point["what"] == "fault"]
    lanes = sorted({point["kind"] for point in faults})
    top, scale = 40, _WIDTH / end
    floor = top + _LANE * len(lanes) + 20 + _BARS
    parts = [_text(_LEFT, 20, title, "bold")]
    for number, lane in enumerate(lanes):
        y = top + _LANE * number
        parts.append(_text(_LEFT - 8, y + 11, lane, anchor="end"))
        parts.append(f'<path d="M{_LEFT} {y + 8}h{_WIDTH}" stroke="#d0d7de" stroke-width="1"/>')
        parts += [
            f'<rect x="{_LEFT + point["at"] * scale:.1f}" y="{y + 2}" width="{max(point["seconds"] * scale, 3):.1f}" '
            f'height="12" fill="{_FAULT}"/>'
            for point in faults
            if point["kind"] == lane
        ]
    parts += _bars(settled, scale, floor)
    parts += [
        f'<path d="M{_LEFT + at * scale:.1f} {top}V{floor}" stroke="{_HEAL}" stroke-dasharray="4 3"/>' for at in healed
    ]
    parts += [_text(_LEFT + at * scale + 4, floor - _BARS + 10, "faults stop", colour=_HEAL) for at in healed]
    step = next(step for step in (1, 2, 5, 10, 20, 60, 120, 300, 600, 3600) if end / step <= 12 or step == 3600)
    parts += [_text(_LEFT + at * scale, floor + 16, f"{at} s", anchor="middle") for at in range(0, int(end) + 1, step)]
    size = f'width="{_LEFT + _WIDTH + 40}" height="{floor + 30}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#ffffff"/>', *parts, "</svg>"]) + "\n"


def _bars(settled: Sequence[Line], scale: float, floor: float) -> list[str]:
    most = max((point["count"] for point in settled), default=0)
    if not most:
        return []
    width = min(after["at"] - before["at"] for before, after in pairwise(settled)) if len(settled) > 1 else 1.0
    bars = [
        f'<rect x="{_LEFT + point["at"] * scale:.1f}" y="{floor - _BARS * point["count"] / most:.1f}" '
        f'width="{max(width * scale - 1, 1):.1f}" height="{_BARS * point["count"] / most:.1f}" fill="{_BAR}"/>'
        for point in settled
    ]
    label = f"ended transfers (most: {most / width:.0f} a second)"
    return [*bars, _text(_LEFT - 8, floor - _BARS / 2, label, anchor="end")]


def _text(x: float, y: float, text: str, weight: str = "normal", anchor: str = "start", colour: str = _INK) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} font-weight="{weight}" fill="{colour}">{escape(text)}</text>'
