"""Line plots as SVG, the same bytes for the same figures."""

import math
from collections.abc import Sequence
from html import escape

from tests.bench.figures import Plot, Points

WIDTH, HEIGHT = 720, 380
LEFT, RIGHT, TOP, BOTTOM = 70, 220, 40, 50
COLOURS = ("#1b6ca8", "#d1495b", "#2e8b57", "#c77d0a", "#6a4c93", "#4a4a4a")
_STYLE = 'font-family="sans-serif" font-size="12" fill="#222"'


class Axis:
    """Maps values to a span of pixels."""

    def __init__(self, values: Sequence[float], start: float, end: float, *, log: bool, zero: bool = False) -> None:
        self._log = log
        low, high = min(values), max(values)
        if not log:
            low = min(0.0, low) if zero else low
            high = high if high > low else low + 1
        elif high == low:
            high = low * 10
        self._low, self._high = low, high
        self._start, self._end = start, end

    def at(self, value: float) -> float:
        if self._log:
            share = math.log(value / self._low) / math.log(self._high / self._low)
        else:
            share = (value - self._low) / (self._high - self._low)
        return round(self._start + share * (self._end - self._start), 1)

    def ticks(self) -> list[float]:
        """Round values within the span, some five of them."""
        if self._log:
            decades = range(math.floor(math.log10(self._low)), math.ceil(math.log10(self._high)) + 1)
            marks = (1, 2, 5) if len(decades) < 4 else (1,)
            found = [mark * 10.0**decade for decade in decades for mark in marks]
            return [value for value in found if self._low * 0.999 <= value <= self._high * 1.001]
        rough = (self._high - self._low) / 5
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(n * power for n in (1, 2, 5, 10) if n * power >= rough)
        return [n * step for n in range(math.ceil(self._low / step), math.floor(self._high / step) + 1)]


def draw(plot: Plot) -> str:
    """The plot as an SVG document."""
    lines = {name: points for name, points in plot.lines.items() if points}
    points = [point for each in lines.values() for point in each]
    x = Axis([at for at, _ in points], LEFT, WIDTH - RIGHT, log=plot.log_x)
    y = Axis([value for _, value in points], HEIGHT - BOTTOM, TOP, log=plot.log_y, zero=True)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT - 60}" y="18" font-weight="bold" {_STYLE}>{escape(plot.title)}</text>',
        *_grid(plot, x, y),
    ]
    for number, (name, each) in enumerate(lines.items()):
        parts += _line(name, each, x, y, number)
    return "\n".join([*parts, "</svg>", ""])


def _grid(plot: Plot, x: Axis, y: Axis) -> list[str]:
    parts = []
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for value in y.ticks():
        at = y.at(value)
        parts.append(f'<path d="M{LEFT} {at}H{right}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4}" text-anchor="end" {_STYLE}>{_number(value)}</text>')
    for value in x.ticks():
        at = x.at(value)
        parts.append(f'<path d="M{at} {bottom}v5" stroke="#888"/>')
        parts.append(f'<text x="{at}" y="{bottom + 19}" text-anchor="middle" {_STYLE}>{_number(value)}</text>')
    parts.append(f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="#888"/>')
    middle = (LEFT + right) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle" {_STYLE}>{escape(plot.x)}</text>')
    parts.append(f'<text x="{LEFT - 60}" y="{TOP - 6}" {_STYLE}>{escape(plot.y)}</text>')
    return parts


def _line(name: str, points: Points, x: Axis, y: Axis, number: int) -> list[str]:
    colour = COLOURS[number % len(COLOURS)]
    dash = ' stroke-dasharray="5 3"' if number % 2 else ""
    path = " ".join(f"{'L' if n else 'M'}{x.at(at)} {y.at(value)}" for n, (at, value) in enumerate(points))
    line = f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'
    dots = [f'<circle cx="{x.at(at)}" cy="{y.at(value)}" r="3" fill="{colour}"/>' for at, value in points]
    if len(points) > 30:
        dots = []
    left, top = WIDTH - RIGHT + 12, TOP + 10 + 20 * number
    legend = f'<path d="M{left} {top}h18" stroke="{colour}" stroke-width="2"{dash}/>'
    text = f'<text x="{left + 24}" y="{top + 4}" {_STYLE}>{escape(name)}</text>'
    return [line, *dots, legend, text]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == round(value) else f"{value:.2g}"
