"""Tests 5 and 9: does the next frame need its own latent action, and is that no picture code?"""

from functools import partial

import numpy as np

from robowm.latent.reality.footage import Latents, Measured, measure_pairs, other_episode
from robowm.latent.reality.result import SUGGESTED, Result, not_run
from robowm.metrics.bootstrap import Estimate, bootstrap, episode_sums

GAIN_DB = 2.0
RISE = 0.5
CHANGED = 12.0  # grey levels between first and next frame: more than noise and compression


def psnr_gain(labeller: Latents, sample: Measured, seed: int = 0) -> Result:
    """Genie's ΔPSNR: the next frame redrawn from its own latent action and from another's."""
    rng = np.random.default_rng((seed, 0xD8))
    other = sample.latent[other_episode(sample.episode, rng)]
    errors = {
        "own": _squared(labeller.imagine(sample.first, sample.latent)[0], sample.next_frame),
        "other": _squared(labeller.imagine(sample.first, other)[0], sample.next_frame),
        "still": _squared(sample.first, sample.next_frame),
    }
    value, on_moving = _gains(errors, sample.moving, sample.episode)
    _, on_all = _gains(errors, sample.mask, sample.episode)
    return Result(
        name="psnr_gain",
        title="Next frame from its own latent action",
        value=value,
        unit="dB",
        baselines={"another's latent": Estimate(0.0), "standing still": on_moving["still_gain"]},
        gate=f"> {GAIN_DB:g} dB on moving pixels ({SUGGESTED})",
        passed=value.value > GAIN_DB,
        better=value.above_zero,
        says=(
            f"On the pixels that move, the next frame is {value.value:.1f} dB better with its own "
            f"latent action than with another transition's ({on_moving['own'].value:.1f} against "
            f"{on_moving['other'].value:.1f} dB; the first frame shown again scores "
            f"{on_moving['still'].value:.1f} dB)."
        ),
        mend=(
            "The decoder hardly uses the latent action: train longer, or look for collapse in "
            "the codebook test."
        ),
        details={"moving_pixels": on_moving, "whole_picture": on_all, "pairs": len(sample)},
    )


def _squared(drawn: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(N, S, S), squared error in units of full scale, averaged over colours."""
    return ((drawn.astype(np.float32) - target) ** 2).mean(-1) / 255**2


def _gains(
    errors: dict[str, np.ndarray], where: np.ndarray, episode: np.ndarray
) -> tuple[Estimate, dict[str, Estimate]]:
    """PSNR of each over `where`, and what own gains over other; still over other beside it."""
    names = list(errors)
    parts = [(errors[name] * where).sum((1, 2)) for name in names] + [where.sum((1, 2))]
    sums = episode_sums(np.stack(parts, axis=1), episode)

    def decibel(totals: np.ndarray, name: str) -> np.ndarray:
        share = totals[..., names.index(name)] / totals[..., len(names)]
        return -10 * np.log10(share + 1e-10)

    found = {name: bootstrap(sums, partial(decibel, name=name)) for name in names}
    gain = bootstrap(sums, lambda t: decibel(t, "own") - decibel(t, "other"))
    found["own_gain"] = gain
    found["still_gain"] = bootstrap(sums, lambda t: decibel(t, "still") - decibel(t, "other"))
    return gain, found


def cut_test(labeller: Latents, sample: Measured, seed: int = 0) -> Result:
    """Redrawing across a cut must fail: a latent action is no picture (LAPA issue #38)."""
    name, title = "cut", "Across a cut"
    if len(np.unique(sample.episode)) < 2:
        return not_run(name, title, "needs two episodes that the labeller did not train on")
    rng = np.random.default_rng((seed, 0xC07))
    second = sample.second[other_episode(sample.episode, rng)]
    cut = measure_pairs(labeller, sample.first, second, sample.episode)
    sums = np.concatenate([_errors(labeller, sample), _errors(labeller, cut)], axis=1)
    value = bootstrap(sums, lambda t: _rise(t, 0))
    still = bootstrap(sums, lambda t: _rise(t, 1))
    within, across = sums.sum(0)[:3], sums.sum(0)[4:7]
    levels = {
        "within_shot": within[0] / within[2],
        "across_cut": across[0] / across[2],
        "within_shot_standing_still": within[1] / within[2],
        "across_cut_standing_still": across[1] / across[2],
    }
    flagged = float((~np.asarray(cut.valid)).mean())
    relative = bootstrap(sums, lambda t: (t[..., 4] / t[..., 5]) / (t[..., 0] / t[..., 1]) - 1)
    return Result(
        name=name,
        title=title,
        value=value,
        unit="rise of the error",
        baselines={
            "a picture code": Estimate(0.0),
            "standing still": still,
        },
        gate=f"rises by {100 * RISE:g} % or more ({SUGGESTED})",
        passed=value.value >= RISE,
        better=value.above_zero,
        says=(
            f"On the pixels that change, redrawing errs by {levels['across_cut']:.0f} grey levels "
            f"across a cut and by {levels['within_shot']:.0f} within a shot; an image code would "
            f"redraw both alike. The first frame shown again errs {100 * still.value:.0f} % more "
            "across a cut: a rise like that can also mean that little is redrawn at all (see "
            f"ΔPSNR). {100 * flagged:.0f} % of the cuts are flagged as invalid."
        ),
        mend=(
            "The codes hold the picture, not the motion: use fewer or smaller tokens, or let "
            "flow weigh more in the loss."
        ),
        details={
            "error_grey_levels": levels,
            "rise_relative_to_standing_still": relative,
            "cuts_flagged_invalid": flagged,
            "pairs": len(cut),
        },
    )


def _errors(labeller: Latents, pairs: Measured) -> np.ndarray:
    """Per episode over changed pixels: sum of redrawing errors, of standing still, pixels; rows."""
    drawn, _ = labeller.imagine(pairs.first, pairs.latent)
    target = pairs.next_frame.astype(np.float32)
    still = np.abs(pairs.first - target).mean(-1)
    changed = still > CHANGED
    error = np.abs(drawn - target).mean(-1)
    parts = [(error * changed), (still * changed), changed]
    return episode_sums(np.stack([p.sum((1, 2)) for p in parts], axis=1), pairs.episode)


def _rise(totals: np.ndarray, column: int) -> np.ndarray:
    """Error across cuts over error within shots, less 1; under a grey level counts as one."""
    within = totals[..., column] / totals[..., 2]
    return totals[..., 4 + column] / totals[..., 6] / np.maximum(within, 1.0) - 1
