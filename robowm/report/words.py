"""What the numbers say, in sentences that claim no more than they show."""

from collections.abc import Callable, Sequence
from typing import Any

ALPHA = 0.05
CAVEAT = (
    "Each policy was trained once, so this compares these two policies, "
    "not pretraining with no pretraining."
)


def verdict(paired: dict[str, Any], first: str = "pretrained", second: str = "scratch") -> str:
    """The paired test in plain words.

    Args:
        paired: counts of paired episodes `both`, `only_first`, `only_second`, `neither`; `p_value`;
            `difference` of the success rates, first minus second, in [-1, 1], and its 95 %
            `difference_interval`.
        first, second: names of the two policies.
    """
    better_first, better_second = paired["only_first"], paired["only_second"]
    differ = better_first + better_second
    seeds = differ + paired["both"] + paired["neither"]
    if not seeds:
        return "No paired episodes: nothing to compare."
    if not differ:
        return f"On all {seeds} seeds both policies ended alike: no difference shown."
    counts = (
        f"{differ} of {seeds} seeds differ "
        f"({better_first} for {first}, {better_second} for {second})"
    )
    if paired["p_value"] >= ALPHA:
        outcome = "no difference shown."
    else:
        ahead = first if paired["difference"] > 0 else second
        outcome = f"the {ahead} policy succeeded more often. {CAVEAT}"
    return f"{counts}; {p_words(paired['p_value'])}: {outcome}"


def difference(paired: dict[str, Any]) -> str:
    """The difference of the success rates with its interval, in percentage points."""
    interval = span(paired["difference_interval"], points)
    return f"{points(paired['difference'])} points (95 % interval {interval})"


def succeeded(part: dict[str, Any]) -> str:
    """Successes of episodes (a list, or their number) with their interval.

    >>> succeeded({"successes": 14, "episodes": 50, "interval": [0.17, 0.42]})
    '14/50 succeeded (17 to 42 %, 95 % Wilson)'
    """
    episodes = part["episodes"] if isinstance(part["episodes"], int) else len(part["episodes"])
    count = f"{part['successes']}/{episodes}"
    return f"{count} succeeded ({span(part['interval'])} %, 95 % Wilson)"


def percent(share: float) -> str:
    """A share in per cent, without the sign for it."""
    return f"{100 * share:.0f}"


def span(interval: Sequence[float], words: Callable[[float], str] = percent) -> str:
    """An interval of shares, in per cent or as `points`.

    >>> span([0.17, 0.42])
    '17 to 42'
    """
    low, high = interval
    return f"{words(low)} to {words(high)}"


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(192.4)
    '3 min 12 s'
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def p_words(value: float) -> str:
    """A p-value with as many digits as it deserves."""
    if value < 0.001:
        return "p < 0.001"
    return f"p = {value:.2g}" if value >= 0.1 else f"p = {value:.3g}"


def points(share: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{round(100 * share):+d}".replace("-", "−")
