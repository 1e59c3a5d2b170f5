"""Where the ink goes: geometry of line charts and interval bars. The template draws it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 480.0, 260.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 14.0, 12.0, 34.0  # margins for the tick labels
LOG_RATIO = 50.0
MAX_BUCKETS = 200
COLOURS = 6

Point = tuple[float, float]


@dataclass(frozen=True)
class Tick:
    """A labelled place on an axis, in the chart's units."""

    at: float
    label: str


@dataclass(frozen=True)
class Line:
    """One series.

    Attributes:
        points: "x,y x,y ..." in the chart's units.
        end: the last point, marked with a dot.
        last: the last value, in words.
    """

    name: str
    colour: int
    points: str
    end: Point
    last: str


@dataclass(frozen=True)
class Chart:
    """A line chart, ready to be drawn in a WIDTH x HEIGHT box."""

    title: str
    x_label: str
    log_y: bool
    lines: list[Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]


def line_chart(
    title: str,
    x_label: str,
    series: Mapping[str, Sequence[Sequence[float]]],
    at_least: tuple[float, float] | None = None,
) -> Chart:
    """Lay out series of [x, y]; not-finite points are left out.

    The y axis shows the range `at_least` also where the series do not fill it, so that noise is
    not blown up to the height of the chart. It is logarithmic when the largest value exceeds
    LOG_RATIO times the smallest and all are positive.
    """
    kept = {name: _finite(points) for name, points in series.items()}
    kept = {name: points for name, points in kept.items() if points}
    if not kept:
        return Chart(title, x_label, False, [], [], [])
    xs = [x for points in kept.values() for x, _ in points]
    ys = [y for points in kept.values() for _, y in points]
    if at_least:
        ys += at_least
    log_y = min(ys) > 0 and max(ys) / min(ys) > LOG_RATIO
    x_low, x_high = _widened(min(xs), max(xs))
    y_low, y_high = _widened(_scaled(min(ys), log_y), _scaled(max(ys), log_y), margin=0.04)

    def place(point: Point) -> Point:
        across = (point[0] - x_low) / (x_high - x_low)
        up = (_scaled(point[1], log_y) - y_low) / (y_high - y_low)
        x = LEFT + across * (WIDTH - LEFT - RIGHT)
        return round(x, 1), round(HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM), 1)

    lines = []
    for number, (name, points) in enumerate(kept.items()):
        placed = [place(point) for point in _thinned(points)]
        path = " ".join(f"{x},{y}" for x, y in placed)
        lines.append(Line(name, number % COLOURS, path, placed[-1], f"{points[-1][1]:.3g}"))
    x_ticks = [Tick(place((v, ys[0]))[0], _label(v)) for v in _ticks(x_low, x_high)]
    values = _log_ticks(y_low, y_high) if log_y else _ticks(y_low, y_high)
    y_ticks = [Tick(place((xs[0], v))[1], _label(v)) for v in values]
    return Chart(title, x_label, log_y, lines, x_ticks, y_ticks)


def _finite(points: Sequence[Sequence[float]]) -> list[Point]:
    pairs = [(p[0], p[1]) for p in points if p[0] is not None and p[1] is not None]
    return [(float(x), float(y)) for x, y in pairs if math.isfinite(x) and math.isfinite(y)]


def _thinned(points: list[Point]) -> list[Point]:
    """At most two points a bucket, its least and its greatest, so that no spike is lost."""
    size = math.ceil(len(points) / MAX_BUCKETS)
    if size == 1:
        return points
    thin: list[Point] = []
    for start in range(0, len(points) - 1, size):
        bucket = points[start : start + size]
        thin += sorted({min(bucket, key=lambda p: p[1]), max(bucket, key=lambda p: p[1])})
    return [*thin, points[-1]]


def _scaled(value: float, log: bool) -> float:
    return math.log10(value) if log else value


def _widened(low: float, high: float, margin: float = 0.0) -> tuple[float, float]:
    """A range that has a width, also when all values are one."""
    width = (high - low) or abs(high) or 1.0
    margin = margin if high > low else 0.5
    return low - margin * width, high + margin * width


def _ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten) between low and high."""
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * min((1, 2, 5, 10), key=lambda m: abs(m * power - raw))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten between 10^low and 10^high; 2 and 5 times them where those are few."""
    decades = range(math.floor(low), math.ceil(high) + 1)
    factors = (1, 2, 5) if high - low < 3 else (1,)
    values = [factor * 10.0**decade for decade in decades for factor in factors]
    return [v for v in values if low <= math.log10(v) <= high]


def _label(value: float) -> str:
    return f"{value / 1000:g}k" if abs(value) >= 10_000 else f"{value:g}"


@dataclass(frozen=True)
class Bar:
    """A success rate and its interval on a scale from 0 to 100 (per cent).

    Attributes:
        kind: "policy" or "baseline".
        low, high: the 95 % interval; None when nobody computed one.
    """

    name: str
    kind: str
    successes: int
    episodes: int
    rate: float
    low: float | None
    high: float | None


def interval_bar(name: str, kind: str, result: dict[str, object]) -> Bar | None:
    """A bar from `{"successes", "episodes", "success_rate", "interval"}`; None if it has no rate.

    `episodes` may be a number or the list of episodes. Rates are in [0, 1].
    """
    episodes = result.get("episodes") or 0
    count = len(episodes) if isinstance(episodes, list) else int(str(episodes))
    if not count or "successes" not in result:
        return None
    successes = int(str(result["successes"]))
    interval = result.get("interval")
    low, high = (100.0 * v for v in interval) if isinstance(interval, list) else (None, None)
    return Bar(name, kind, successes, count, 100.0 * successes / count, low, high)
