"""Test 8: are the codes used, do they change within a clip, and are they the ones on disk?"""

from collections.abc import Sequence

import numpy as np

from robowm.batch import LatentActions
from robowm.latent.reality.result import CHOSEN, SUGGESTED, Result, not_run
from robowm.metrics.bootstrap import Estimate, bootstrap, mean_estimate

MIN_TRANSITIONS = 4  # a shorter clip may well hold one motion only
COLLAPSED = 1.1  # perplexity: one code has all but two per cent
SHARE = 0.5


def codebook_use(clips: Sequence[LatentActions], codes: int) -> Result:
    """Perplexity, entropy, dead codes; pooled, for each token and for all K tokens together.

    Args:
        clips: labels of each clip.
        codes: size of the codebook.
    """
    name, title = "codebook", "Codes in use"
    kept = [clip.codes[clip.valid] for clip in clips if clip.valid.any()]
    if codes < 2 or not kept:
        reason = "no transition is valid" if codes > 1 else "the labeller is continuous: no codes"
        return not_run(name, title, reason)
    counts = np.stack([np.bincount(c.ravel(), minlength=codes) for c in kept]).astype(np.float64)
    value = bootstrap(counts, perplexity)
    whole = np.concatenate(kept)
    tokens = [perplexity(np.bincount(t, minlength=codes)) for t in whole.T]
    joint = np.unique(whole, axis=0, return_counts=True)[1]
    dead = int((counts.sum(0) == 0).sum())
    long = [c for c in kept if len(c) >= MIN_TRANSITIONS]
    constant = float(np.mean([(c == c[0]).all() for c in long])) if long else float("nan")
    stuck = np.mean([(c == c[0]).all(0) for c in long], axis=0) if long else np.zeros(0)
    enough = value.value >= SHARE * codes and dead == 0
    return Result(
        name=name,
        title=title,
        value=value,
        unit=f"perplexity of {codes}",
        baselines={"collapsed": Estimate(1.0), "all alike": Estimate(float(codes))},
        gate=f">= {SHARE * codes:g}, no dead code ({SUGGESTED}), and fewer than half of the clips "
        f"with one label throughout ({CHOSEN})",
        passed=enough and not constant >= SHARE,
        better=(value.value if value.high is None else value.high) > COLLAPSED,
        says=(
            f"{value.value:.1f} of {codes} codes are in effective use, {dead} never; "
            f"{len(joint)} of {codes ** min(whole.shape[1], 32):,} joint labels occur; "
            + (f"{100 * constant:.0f} % of the clips keep one label throughout." if long else "")
        ),
        mend=(
            "Collapsed codes: check that the clips move, raise the flow weight, lower the "
            "learning rate, or begin again with another seed."
        ),
        details={
            "perplexity_per_token": [float(p) for p in tokens],
            "joint_perplexity": float(perplexity(joint)),
            "joint_labels_seen": len(joint),
            "entropy_bits": float(np.log2(value.value)),
            "joint_entropy_bits": float(np.log2(perplexity(joint))),
            "capacity_bits": float(whole.shape[1] * np.log2(codes)),
            "dead_codes": dead,
            "constant_clips": constant,
            "constant_per_token": [float(s) for s in stuck],
            "still_dimensions": _still_dimensions(clips),
            "transitions": len(whole),
        },
    )


def perplexity(counts: np.ndarray) -> np.ndarray:
    """exp of the entropy of counts (..., C): 1 when one has all, C when all are alike."""
    share = counts / counts.sum(-1, keepdims=True)
    return np.exp(-(share * np.log(np.where(share > 0, share, 1))).sum(-1))


def _still_dimensions(clips: Sequence[LatentActions]) -> float:
    """Share of the vector's dimensions that hardly vary."""
    vectors = np.concatenate([clip.vectors[clip.valid] for clip in clips])
    spread = vectors.std(0)
    return float((spread < 1e-3 * max(float(spread.max()), 1e-9)).mean())


def on_disk(clips: Sequence[LatentActions], stored: Sequence[np.ndarray] | None) -> Result:
    """Whether the labels in the dataset are the ones this labeller gives.

    Args:
        clips: labels given now.
        stored: codes (T, K) of the same clips as the dataset has them; None where it has none.
    """
    name, title = "on_disk", "Labels on disk are this labeller's"
    if stored is None:
        return not_run(name, title, "the dataset holds no labels of this labeller")
    same, owner = [], []
    for number, (clip, codes) in enumerate(zip(clips, stored, strict=True)):
        same.append((codes[: len(clip.codes)] == clip.codes).all(1))
        owner.append(np.full(len(clip.codes), number))
    value = mean_estimate(np.concatenate(same), np.concatenate(owner))
    return Result(
        name=name,
        title=title,
        value=value,
        unit="share of transitions",
        gate=f">= 0.99 ({CHOSEN})",
        passed=value.value >= 0.99,
        says=(
            f"{100 * value.value:.1f} % of the labels in the dataset are what the labeller beside "
            "them gives now."
        ),
        mend="Label again: what was trained on these labels met other codes than it will meet.",
    )
