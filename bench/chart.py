"""Chart: curves as an SVG, for what grows with something else."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_LEFT, _TOP, _WIDTH, _HEIGHT, _NAMES, _BETWEEN = 70, 40, 560, 200, 170, 70
_INK, _GRID = "#57606a", "#d0d7de"
_COLOURS = ("#0969da", "#cf222e", "#2da44e", "#8250df", "#bf8700", "#57606a")


@dataclass(frozen=True, slots=True)
class Curve:
    """A name, and points: x rising, y zero or more."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture of several curves. With `by_powers`, each tenfold of x has the same width. `unit` is y's."""

    title: str
    unit: str
    x_name: str
    curves: Sequence[Curve]
    by_powers: bool = False


def svg(panels: Sequence[Panel]) -> str:
    """The panels, one below the other. Every y axis begins at zero."""
    step = _TOP + _HEIGHT + _BETWEEN
    size = f'width="{_LEFT + _WIDTH + _NAMES}" height="{step * len(panels)}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">'
    parts = [part for place, panel in enumerate(panels) for part in _panel(panel, place * step)]
    return "\n".join([head, '<rect width="100%" height="100%" fill="#ffffff"/>', *parts, "</svg>"]) + "\n"


def _panel(panel: Panel, top: float) -> list[str]:
    floor, scale = top + _TOP + _HEIGHT, math.log10 if panel.by_powers else float
    xs = [x for curve in panel.curves for x, _ in curve.points]
    highest = _rounded_up(max(y for curve in panel.curves for _, y in curve.points))
    first, last = scale(min(xs)), scale(max(xs))
    width = _WIDTH / ((last - first) or 1)
    parts = [_text(_LEFT, top + 20, f"{panel.title} ({panel.unit})", "bold")]
    for part in range(5):
        y = floor - _HEIGHT * part / 4
        parts.append(f'<path d="M{_LEFT} {y:.1f}h{_WIDTH}" stroke="{_GRID}"/>')
        parts.append(_text(_LEFT - 8, y + 4, f"{highest * part / 4:,g}", anchor="end"))
    marks = sorted(set(xs)) if panel.by_powers else [max(xs) * part / 4 for part in range(5)]
    for x in marks:
        at = _LEFT + (scale(x) - first) * width
        parts.append(_text(at, floor + 16, f"{x:,.0f}", anchor="middle"))
    parts.append(_text(_LEFT + _WIDTH / 2, floor + 34, panel.x_name, anchor="middle"))
    for number, curve in enumerate(panel.curves):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join(
            f"{_LEFT + (scale(x) - first) * width:.1f},{floor - _HEIGHT * y / highest:.1f}" for x, y in curve.points
        )
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(_text(_LEFT + _WIDTH + 12, top + _TOP + 12 + 16 * number, curve.name, colour=colour))
    return parts


def _rounded_up(value: float) -> float:
    """The next of 1, 2, 4, 5, 8 and 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value or 1))
    return next(power * step for step in (1, 2, 4, 5, 8, 10) if power * step >= value)


def _text(x: float, y: float, text: str, weight: str = "normal", anchor: str = "start", colour: str = _INK) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} font-weight="{weight}" fill="{colour}">{escape(text)}</text>'
