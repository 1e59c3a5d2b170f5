"""Test 1: can the true actions be read from the latent actions, and better than without them?"""

import numpy as np

from robowm.latent.reality.result import SUGGESTED, Result
from robowm.latent.reality.truth import STILL_CAMERA_PX, Readings
from robowm.metrics.bootstrap import Estimate
from robowm.metrics.probe import Probe, ProbeConfig, difference, probe

GATE_STILL, GATE_MOVING = 0.8, 0.6
# what labels must beat; "flow grid" stands beside them: it is what the labeller is given, unpacked
BASELINES = {
    "frame": "current frame only",
    "difference": "PCA of frame differences",
    "untrained": "random encoder",
    "shuffled": "shuffled latents",
    "mean flow": "mean flow",
}
BESIDE = {"flow grid": "flow on a 4x4 grid", "codes": "codes, one-hot"}
KINDS = {"linear": "ridge", "mlp": "MLP"}
ARTICLES = {"linear": "A", "mlp": "An"}
MEND = (
    "Look at the label viewer: if flow is right and codes do not follow it, train longer or "
    "raise tokens; if flow is wrong, the footage is the trouble; if a baseline wins, the codes "
    "lose what the pictures show."
)


def probes(
    readings: Readings, gate: float | None = None, with_frame: bool = False, folds: int = 5
) -> list[Result]:
    """A ridge and an MLP probe of every feature; R² on episodes that the probe did not see.

    Args:
        readings: features and truth.
        gate: least R²; None takes 0.8, or 0.6 where the camera moves.
        with_frame: also probe the latent action and the current frame together.
        folds: parts that the episodes are dealt into.
    """
    return [probe_one(kind, readings, gate, with_frame, folds) for kind in KINDS]


def probe_one(
    kind: str, readings: Readings, gate: float | None, with_frame: bool, folds: int
) -> Result:
    """The same with one kind of probe."""
    config = ProbeConfig(kind, folds)
    features = dict(readings.features)
    beside = {name: words for name, words in BESIDE.items() if features[name].shape[1]}
    if with_frame:
        beside["with frame"] = "latent and current frame"
        features["with frame"] = np.concatenate([features["latent"], features["frame"]], axis=1)
    made = {
        name: probe(features[name], readings.truth, readings.episode, config)
        for name in ("latent", *BASELINES, *beside)
    }
    own = made["latent"]
    value = own.estimate()
    margins = {name: difference(own, made[name]) for name in (*BASELINES, "flow grid")}
    moves = readings.camera_px > STILL_CAMERA_PX
    least = gate if gate is not None else (GATE_MOVING if moves else GATE_STILL)
    source = SUGGESTED if gate is None else "set by --probe-gate"
    best = max(BASELINES, key=lambda name: made[name].estimate().value)
    better = value.above_zero and all(margins[name].above_zero for name in BASELINES)
    return Result(
        name=f"probe_{kind}",
        title=f"True action, {KINDS[kind]} probe",
        value=value,
        unit="R²",
        baselines={words: made[name].estimate() for name, words in (BASELINES | beside).items()},
        gate=f"R² >= {least:g} ({source}; published on real data: 0.1 to 0.5)",
        passed=value.value >= least,
        better=better,
        says=_says(kind, value, made[best].estimate(), BASELINES[best], better),
        mend=MEND,
        details=_details(readings, made, margins),
    )


def _says(kind: str, value: Estimate, best: Estimate, name: str, better: bool) -> str:
    share = f"{100 * max(value.value, 0):.0f} %"
    if better:
        tail = f"more than from any baseline (best, {name}: {100 * max(best.value, 0):.0f} %)."
    else:
        tail = (
            f"which is not shown to be more than from every baseline ({name}: "
            f"{100 * max(best.value, 0):.0f} %)."
        )
    return (
        f"{ARTICLES[kind]} {KINDS[kind]} probe reads {share} of the true action's variance from "
        f"the latent action, in episodes it did not see; {tail}"
    )


def _details(
    readings: Readings, made: dict[str, Probe], margins: dict[str, Estimate]
) -> dict[str, object]:
    names = {"latent": "latent actions"} | BASELINES | BESIDE | {"with frame": "with frame"}
    return {
        "per_dimension": {
            names[name]: dict(zip(readings.dims, found.r2.tolist(), strict=True))
            for name, found in made.items()
        },
        "margin": {names[name]: margin for name, margin in margins.items()},
        "transitions": len(readings.truth),
        "episodes": len(set(readings.episode.tolist())),
        "left_out": readings.left_out,
        "camera_px": readings.camera_px,
    }
