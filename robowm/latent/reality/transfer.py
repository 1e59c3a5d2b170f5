"""Tests 3 and 4: a motion shown in another scene, and read again from there.

The latent action of a transition of clip A is imagined on a frame of clip B. Induced flow is the
decoder's own, or measured by DIS between B's frame and the imagined one. Two cosines with A's
flow (camera removed):

    motion     between mean vectors: A's over its moving pixels, the induced one over the pixels
               that it moves (longer than 0.5 px at 64 px); 0 where it moves none
    per pixel  cosine at each of A's moving pixels, same place in both pictures, averaged

The first says whether B moves the way A did, wherever B's arm is; the second also asks for the
same place, which another scene need not grant.
"""

from dataclasses import dataclass

import numpy as np

from robowm.latent.reality.footage import Latents, Measured, moving, other_episode
from robowm.latent.reality.result import CHOSEN, SUGGESTED, Result
from robowm.metrics.bootstrap import Estimate, bootstrap, episode_sums, mean_estimate
from robowm.motion.flow import flow_pair

COSINE, GAP = 0.7, 0.5
AGREEMENT = 0.3


@dataclass(frozen=True)
class Transferred:
    """Latents of N transitions imagined on frames of other episodes.

    Attributes:
        target: uint8 (N, S, S, 3), the other scenes.
        own, random, mean: imagined frames uint8 (N, S, S, 3) and the decoder's flow
            (N, S, S, 2), from the transition's latent, another's, and the mean of all.
    """

    target: np.ndarray
    own: tuple[np.ndarray, np.ndarray]
    random: tuple[np.ndarray, np.ndarray]
    mean: tuple[np.ndarray, np.ndarray]


def transfer_to_others(labeller: Latents, sample: Measured, seed: int = 0) -> Transferred:
    """Imagine every transition of the sample in another scene."""
    rng = np.random.default_rng((seed, 0x7F))
    target = sample.first[other_episode(sample.episode, rng)]
    random = sample.latent[other_episode(sample.episode, rng)]
    mean = np.repeat(sample.latent.mean(0, keepdims=True), len(sample), axis=0)
    return Transferred(
        target,
        labeller.imagine(target, sample.latent),
        labeller.imagine(target, random),
        labeller.imagine(target, mean),
    )


def transfer(sample: Measured, moved: Transferred) -> Result:
    """Cosine of the induced with the source motion, against random and mean latents."""
    variants = {"latent": moved.own, "random latents": moved.random, "mean latent": moved.mean}
    flows = {(who, "decoder"): flow for who, (_, flow) in variants.items()}
    flows |= {(who, "measured"): between(moved.target, f) for who, (f, _) in variants.items()}
    found: dict[tuple[str, str, str], np.ndarray] = {}
    for (who, how), flow in flows.items():
        found[who, how, "motion"] = motion_cosine(flow, sample.flow, sample.moving)
        found[who, how, "per pixel"] = pixel_cosine(flow, sample.flow, sample.moving)
    estimates = {key: mean_estimate(values, sample.episode) for key, values in found.items()}
    head = ("decoder", "motion")
    value = estimates["latent", *head]
    gap = mean_estimate(found["latent", *head] - found["random latents", *head], sample.episode)
    measured = estimates["latent", "measured", "motion"]
    return Result(
        name="transfer",
        title="A motion moved to another scene",
        value=value,
        unit="cosine",
        baselines={who: estimates[who, *head] for who in ("random latents", "mean latent")},
        gate=f"cosine > {COSINE:g}, and {GAP:g} above random latents ({SUGGESTED})",
        passed=value.value > COSINE and gap.value > GAP,
        better=gap.above_zero,
        says=(
            f"Imagined in another scene, a latent action moves it the way the source moved with "
            f"cosine {value.value:.2f} (as measured in the imagined picture {measured.value:.2f}); "
            f"another transition's latent scores {estimates['random latents', *head].value:.2f}."
        ),
        mend=(
            "If the decoder's flow is right and the measured one is not, the picture lags behind: "
            "train longer. If both are near random, latents are tied to their scene: use more "
            "varied clips or two-crop augmentation."
        ),
        details={
            "gap_to_random": gap,
            "cosines": {" / ".join(key): estimate for key, estimate in estimates.items()},
            "pairs": len(sample),
        },
    )


def cycle(labeller: Latents, sample: Measured, moved: Transferred) -> Result:
    """Codes read again from the imagined transition, against chance from the codes' shares."""
    again = labeller.pairs(moved.target, moved.own[0])
    ok = np.asarray(again.valid)
    episode = sample.episode[ok]
    same = (again.codes[ok] == sample.codes[ok]).mean(1)
    chance = chance_agreement(sample.codes)[ok]
    agreement = mean_estimate(same, episode)
    sums = episode_sums(np.column_stack([same, chance]), episode)
    kappa = bootstrap(sums, lambda t: (t[..., 0] - t[..., 1]) / (t[..., -1] - t[..., 1]))
    centre = sample.vectors.mean(0)
    alike = cosine(again.latent[ok].reshape(len(episode), -1) - centre, sample.vectors[ok] - centre)
    cosines = mean_estimate(alike, episode)
    discrete = labeller.config.codes > 1
    value = kappa if discrete else cosines
    unit = "agreement beyond chance" if discrete else "cosine of the latents"
    return Result(
        name="cycle",
        title="Read again from the imagined transition",
        value=value,
        unit=unit,
        baselines={"chance": Estimate(0.0)},
        gate=f"{unit} >= {AGREEMENT:g} ({CHOSEN}; the brief asks for much above chance)",
        passed=value.value >= AGREEMENT,
        says=(
            f"{100 * agreement.value:.0f} % of the codes come back when the imagined transition is "
            f"labelled again; by chance it would be {100 * float(chance.mean()):.0f} %."
            if discrete
            else f"Labelled again, the imagined transition's latent has cosine {value.value:.2f} "
            "with the one that it was imagined from, both seen from their mean."
        ),
        mend=(
            "Where codes do not come back, picture and flow of the decoder disagree or the "
            "imagined frame is too blurred for optical flow: train longer, or weigh the picture "
            "loss more."
        ),
        details={
            "code_agreement": agreement,
            "chance": float(chance.mean()),
            "cosine_of_vectors": cosines,
            "invalid": int((~ok).sum()),
        },
    )


def between(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """DIS flow (N, S, S, 2) from each first to its second picture."""
    return np.stack([flow_pair(a, b)[0] for a, b in zip(first, second, strict=True)])


def motion_cosine(induced: np.ndarray, source: np.ndarray, where: np.ndarray) -> np.ndarray:
    """(N,), cosine between mean motion vectors; 0 where nothing is induced."""
    return cosine(_mean_motion(induced, moving(induced)), _mean_motion(source, where))


def pixel_cosine(induced: np.ndarray, source: np.ndarray, where: np.ndarray) -> np.ndarray:
    """(N,), mean over the source's moving pixels of the cosine there."""
    alike = cosine(induced, source) * where
    return alike.sum((1, 2)) / where.sum((1, 2)).clip(1)


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine along the last axis; 0 where either is zero."""
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return (a * b).sum(-1) / np.where(lengths > 1e-9, lengths, np.inf)


def chance_agreement(codes: np.ndarray) -> np.ndarray:
    """(N,), how likely a code drawn by its share is each row's own, averaged over the K tokens."""
    shares = np.empty(codes.shape)
    for token, column in enumerate(codes.T):
        _, index, counts = np.unique(column, return_inverse=True, return_counts=True)
        shares[:, token] = counts[index] / len(column)
    return shares.mean(1)


def _mean_motion(flow: np.ndarray, where: np.ndarray) -> np.ndarray:
    total = (flow * where[..., None]).sum((1, 2))
    return total / where.sum((1, 2)).clip(1)[:, None]
