"""What one test of the battery says, and the sentence of where its gate comes from."""

import math
from dataclasses import dataclass, field
from typing import Any

from robowm.metrics.bootstrap import Estimate

SUGGESTED = "suggested by a brief, not published"
CHOSEN = "chosen here, not published"


@dataclass(frozen=True)
class Result:
    """One test.

    Attributes:
        name: as in the JSON.
        title: for people.
        value: the figure that the gate judges; None when the test was not run.
        unit: of the figures; empty for a bare number.
        baselines: what stands beside the value, by name; the same unit.
        gate: the condition in words, with where it comes from.
        passed: whether the gate is met; None when the test was not run.
        better: whether the value is better than what labels that mean nothing would score, with
            95 % confidence; None where this test does not decide that.
        says: one sentence on what the figures mean.
        mend: one sentence on what to do when the gate is missed.
        reason: why the test was not run; empty when it was.
        details: further figures, per dimension or variant.
    """

    name: str
    title: str
    value: Estimate | None = None
    unit: str = ""
    baselines: dict[str, Estimate] = field(default_factory=dict)
    gate: str = ""
    passed: bool | None = None
    better: bool | None = None
    says: str = ""
    mend: str = ""
    reason: str = ""
    details: dict[str, Any] = field(default_factory=dict)


def not_run(name: str, title: str, reason: str) -> Result:
    """A test that could not be made, and why."""
    return Result(name, title, reason=reason)


def finite(value: Any) -> Any:
    """The same JSON with None for nan and infinity, and Python's own numbers."""
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
