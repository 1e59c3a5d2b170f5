"""Tests 6 and 7: latent actions should behave like motions: turn round, add up, forget the scene.

For frames a, b, c in a row, and o the mean latent of transitions there and back (where no motion
would be):

    S-PCFC      cos(z(a→b) - o, z(c→b) - o): past→now against future→now (CoMo, 2505.17006, where
                latents have no offset); a latent that holds b's appearance scores 1, one that
                holds motion 0 or less
    reversal    |z(b→c) + z(c→b) - 2o|², over the same with z(c→b) of other transitions (ALAM)
    additivity  |z(a→b) + z(b→c) - z(a→c) - o|², over the same with z(a→c) of other transitions
"""

from dataclasses import dataclass

import numpy as np

from robowm.latent.reality.footage import Latents, Sample, other_episode
from robowm.latent.reality.result import CHOSEN, SUGGESTED, Result, not_run
from robowm.latent.reality.transfer import cosine
from robowm.latent.reality.truth import principal, small_frames
from robowm.metrics.bootstrap import Estimate, bootstrap, episode_sums, mean_estimate

SPCFC = 0.6
ERROR = 0.5
NAMES = {
    "spcfc": "Past to now against future to now",
    "reversal": "There and back again",
    "additivity": "Two steps are the sum of one and one",
}


@dataclass(frozen=True)
class Related:
    """Latent actions between three frames a, b, c in a row; float64 (N, D) each.

    Attributes:
        ab, bc, cb, ac: named for the frames they lead from and to.
        naive_ab, naive_cb: principal components of both pictures instead.
        episode: int64 (N,).
    """

    ab: np.ndarray
    bc: np.ndarray
    cb: np.ndarray
    ac: np.ndarray
    naive_ab: np.ndarray
    naive_cb: np.ndarray
    episode: np.ndarray


def relate(labeller: Latents, sample: Sample) -> Related:
    """Label the sample's frames forwards, backwards and two steps on; only where all are valid."""
    a, b, c = sample.past, sample.now.first, sample.now.second
    ab, cb, ac = (labeller.pairs(x, y) for x, y in ((a, b), (c, b), (a, c)))
    ok = np.asarray(ab.valid) & cb.valid & ac.valid & sample.now.valid
    bc = sample.now.vectors
    small = {name: small_frames(frames) for name, frames in (("a", a), ("b", b), ("c", c))}
    both = [np.concatenate([small[x], small["b"]], axis=1) for x in "ac"]
    naive = principal(np.concatenate(both), bc.shape[1])

    def flat(latent: np.ndarray) -> np.ndarray:
        return latent.reshape(len(latent), -1).astype(np.float64)[ok]

    return Related(
        ab=flat(ab.latent),
        bc=bc[ok],
        cb=flat(cb.latent),
        ac=flat(ac.latent),
        naive_ab=naive[: len(a)][ok],
        naive_cb=naive[len(a) :][ok],
        episode=sample.now.episode[ok],
    )


def algebra(related: Related, seed: int = 0) -> list[Result]:
    """S-PCFC, reversal and additivity."""
    if len(related.episode) < 4:
        reason = "flow failed backwards or over two steps in almost all of the sample"
        return [not_run(name, title, reason) for name, title in NAMES.items()]
    other = other_episode(related.episode, np.random.default_rng((seed, 0xA16)))
    return [spcfc(related, other), reversal(related, other), additivity(related, other)]


def spcfc(related: Related, other: np.ndarray) -> Result:
    """Similarity of past→now and future→now, from o: codes share an offset that says nothing."""
    episode = related.episode
    origin = (related.bc + related.cb).mean(0) / 2
    past, future = related.ab - origin, related.cb - origin
    value = mean_estimate(cosine(past, future), episode)
    naive = mean_estimate(cosine(related.naive_ab, related.naive_cb), episode)
    return Result(
        name="spcfc",
        title=NAMES["spcfc"],
        value=value,
        unit="cosine (S-PCFC)",
        baselines={
            "PCA of both pictures": naive,
            "other transitions": mean_estimate(cosine(past, future[other]), episode),
        },
        gate=f"<= {SPCFC:g} ({SUGGESTED}; CoMo publishes 0.55, naive latents 0.93)",
        passed=value.value <= SPCFC,
        says=(
            f"Past to now and future to now are alike with cosine {value.value:.2f}; latents that "
            f"hold the picture would score {naive.value:.2f}."
        ),
        mend="The latent holds what the frame looks like: two-crop augmentation or fewer codes.",
        details={
            "not_centred": mean_estimate(cosine(related.ab, related.cb), episode),
            "not_centred_other": mean_estimate(cosine(related.ab, related.cb[other]), episode),
            "triples": len(episode),
        },
    )


def reversal(related: Related, other: np.ndarray) -> Result:
    """z(b→c) + z(c→b) should be nothing."""
    origin = (related.bc + related.cb).mean(0) / 2
    there, back = related.bc - origin, related.cb - origin
    value = error_ratio(there + back, there + back[other], related.episode)
    return _sum_result(
        "reversal",
        value,
        len(there),
        "A motion and its reverse cancel",
        "Reversal can be trained for (ALAM's consistency loss); codes that treat a move and its "
        "reverse as unrelated still label, but generalise less.",
    )


def additivity(related: Related, other: np.ndarray) -> Result:
    """z(a→b) + z(b→c) should be z(a→c)."""
    origin = (related.bc + related.cb).mean(0) / 2
    steps = related.ab + related.bc - origin
    value = error_ratio(steps - related.ac, steps - related.ac[other], related.episode)
    return _sum_result(
        "additivity",
        value,
        len(steps),
        "Two steps add up to the step over both",
        "A labeller that saw neighbouring frames only need not add up; training over several "
        "steps does it (LAOM).",
    )


def error_ratio(own: np.ndarray, other: np.ndarray, episode: np.ndarray) -> Estimate:
    """Squared length of `own` (N, D) over that of `other`, each summed over the sample."""
    squares = np.stack([(own**2).sum(1), (other**2).sum(1)], axis=1)
    return bootstrap(episode_sums(squares, episode), lambda t: t[..., 0] / t[..., 1])


def _sum_result(name: str, value: Estimate, triples: int, says: str, mend: str) -> Result:
    return Result(
        name=name,
        title=NAMES[name],
        value=value,
        unit="error, random pairs = 1",
        baselines={"random pairs": Estimate(1.0)},
        gate=f"<= {ERROR:g} ({CHOSEN}; the brief asks for much less than random)",
        passed=value.value <= ERROR,
        says=f"{says}, up to {100 * value.value:.0f} % of the error of unrelated transitions.",
        mend=mend,
        details={"triples": triples},
    )
