"""Geometry: everything inside the box, ticks where they say they are, no spike lost."""

import math

import pytest

from robowm.report.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, interval_bar, line_chart


def _points(line: str) -> list[tuple[float, float]]:
    pairs = [point.split(",") for point in line.split()]
    return [(float(x), float(y)) for x, y in pairs]


@pytest.mark.parametrize(
    "values",
    [
        [3.0, 1.0, 2.0],
        [5.0, 5.0, 5.0],
        [0.0, 0.0],
        [7.0],
        [-1e-7, 2e-7],
        [1e6, 3.0, 1e-3],
        [-4.0, 1000.0],
    ],
)
def test_everything_is_inside_the_box(values: list[float]) -> None:
    chart = line_chart("t", "step", {"loss": [[x, y] for x, y in enumerate(values)]})
    (line,) = chart.lines
    for x, y in _points(line.points):
        assert LEFT <= x <= WIDTH - RIGHT
        assert TOP <= y <= HEIGHT - BOTTOM
    assert chart.y_ticks and chart.x_ticks
    assert all(TOP - 0.1 <= tick.at <= HEIGHT - BOTTOM + 0.1 for tick in chart.y_ticks)


@pytest.mark.parametrize("values", [[0.0, 10.0], [0.004, 1.0, 4.0]])
def test_a_tick_stands_where_its_value_would(values: list[float]) -> None:
    chart = line_chart("t", "step", {"loss": [[x, y] for x, y in enumerate(values)]})
    for tick in chart.y_ticks:
        ends = [[0, values[0]], [1, float(tick.label)], [2, values[-1]]]
        same = line_chart("t", "step", {"loss": ends})
        assert _points(same.lines[0].points)[1][1] == pytest.approx(tick.at, abs=0.11)


def test_scale_is_logarithmic_only_when_it_helps() -> None:
    assert line_chart("t", "step", {"a": [[0, 100], [1, 1.9]]}).log_y
    assert not line_chart("t", "step", {"a": [[0, 100], [1, 2.1]]}).log_y
    assert not line_chart("t", "step", {"a": [[0, 100], [1, 0]]}).log_y


def test_not_finite_points_are_left_out() -> None:
    points = [[0, 1.0], [1, math.nan], [2, math.inf], [3, None], [4, 2.0]]
    chart = line_chart("t", "step", {"a": points, "b": [[0, math.nan]], "c": []})
    assert [line.name for line in chart.lines] == ["a"]
    assert len(_points(chart.lines[0].points)) == 2


def test_nothing_to_draw() -> None:
    assert line_chart("t", "step", {"a": []}).lines == []


def test_thinning_keeps_spikes_and_the_end() -> None:
    values = [1.0] * 10_000
    values[4321] = 9.0
    values[-1] = 5.0
    chart = line_chart("t", "step", {"a": [[x, y] for x, y in enumerate(values)]})
    placed = _points(chart.lines[0].points)
    assert len(placed) < 500
    assert min(y for _, y in placed) < TOP + 20
    assert chart.lines[0].last == "5" and placed[-1] == chart.lines[0].end


def test_interval_bar_counts_a_list_of_episodes() -> None:
    bar = interval_bar(
        "x", "policy", {"successes": 1, "episodes": [{}, {}], "interval": [0.1, 0.9]}
    )
    assert bar is not None
    assert (bar.episodes, bar.rate, bar.low, bar.high) == (2, 50.0, 10.0, 90.0)


def test_interval_bar_without_interval_or_rate() -> None:
    bar = interval_bar("x", "policy", {"successes": 3, "episodes": 4})
    assert bar is not None and bar.low is None and bar.rate == 75.0
    assert interval_bar("x", "policy", {"successes": 0, "episodes": 0}) is None
    assert interval_bar("x", "policy", {}) is None
