"""The collapse alarm: does the latent action still say anything, while it is being learnt.

A latent action model can lower its loss and say nothing: every code the same, the same label for
every transition, vectors that do not vary. `health` measures that, `complaints` puts it in words
with what to do, and `CollapseWatch` asks now and then during training. Any family can use them.
"""

import sys
from dataclasses import dataclass

import torch
from torch import Tensor

from robowm.nn.quantise import perplexity

LEAST_PERPLEXITY = 0.25  # of the codebook; ViPRA reports 5.0 of 8, a collapsed one is near 1
MOST_ALIKE = 0.9
LEAST_SPREAD = 1e-3
WHOLE_ENOUGH = 20  # samples a code: with fewer, an unused one says nothing


@dataclass(frozen=True)
class Health:
    """Figures of N latent actions of K codes each.

    Attributes:
        samples: N.
        codes: size of the codebook; 0 for a continuous latent action.
        dead: codes used less than `dead_share`.
        perplexity: codes in effective use, 1 to `codes`; 0 when continuous.
        alike: share of transitions whose K codes are the commonest combination; 0 when continuous.
        spread: variance of z over the transitions, as a share of its mean square; 0 to 1.
    """

    samples: int
    codes: int
    dead: int
    perplexity: float
    alike: float
    spread: float


def health(
    latent: Tensor, codes: Tensor | None = None, codebook: int = 0, dead_share: float = 0.0
) -> Health:
    """Measure latent actions.

    Args:
        latent: (N, ...) vectors, best those before quantisation; at least two transitions.
        codes: int64 (N, K), or None when the latent action is continuous; negative are invalid.
        codebook: how many codes there are.
        dead_share: a code used less than this is dead (0: never used).
    """
    z = latent.detach().flatten(1).double()
    spread = float(z.var(0, correction=0).mean() / z.square().mean().clamp_min(1e-12))
    if codes is None:
        return Health(len(z), 0, 0, 0.0, 0.0, spread)
    known = codes[(codes >= 0).all(1)]
    share = torch.bincount(known.flatten(), minlength=codebook) / max(known.numel(), 1)
    dead = int((share < dead_share).sum()) if dead_share else int((share == 0).sum())
    alike = 0.0
    if len(known):
        commonest = torch.unique(known, dim=0, return_counts=True)[1].max()
        alike = float(commonest / len(known))
    return Health(len(z), codebook, dead, perplexity(known, codebook), alike, spread)


def complaints(h: Health) -> list[str]:
    """One sentence for each sign of collapse, with what to do; empty when it is well."""
    said = []
    if h.spread < LEAST_SPREAD:
        said.append(
            f"z hardly varies (variance {h.spread:.1e} of its mean square): the encoder says the "
            "same of every transition. Lower the learning rate, and see that the clips move "
            "(speed in the ingest manifest)."
        )
    if h.codes and h.alike > MOST_ALIKE and h.samples > 1:
        said.append(
            f"{h.alike:.0%} of transitions have one and the same label: a constant says nothing. "
            "Train on clips that move, or lower the weight of the picture loss against the flow's."
        )
    if h.codes and h.perplexity < max(1.5, LEAST_PERPLEXITY * h.codes):
        said.append(
            f"perplexity {h.perplexity:.1f} of {h.codes} codes: the codebook is collapsing. Lower "
            "the learning rate, replace dead codes for longer, or make the codebook smaller."
        )
    elif h.dead > h.codes / 2 and h.samples >= WHOLE_ENOUGH * h.codes:
        said.append(
            f"{h.dead} of {h.codes} codes are dead: more than half. Replace dead codes for longer, "
            "or make the codebook smaller."
        )
    return said


class CollapseWatch:
    """Collects the latent actions of some steps, and complains after each `every` of them.

    Args:
        codebook: how many codes there are; 0 when the latent action is continuous.
        every: steps between checks.
        from_step: steps at the beginning that are not judged: nothing has been learnt yet.
        keep: latent actions that one check looks at, at most.

    Attributes:
        log: (step, Health) of every check.
    """

    def __init__(
        self, codebook: int, every: int = 100, from_step: int = 200, keep: int = 2048
    ) -> None:
        self.codebook, self.every, self.from_step, self.keep = codebook, every, from_step, keep
        self.log: list[tuple[int, Health]] = []
        self._latents: list[Tensor] = []
        self._codes: list[Tensor] = []
        self._count = 0

    def see(self, latent: Tensor, codes: Tensor | None = None) -> None:
        """Take in one step's latent actions: (N, ...) and int64 (N, K)."""
        room = self.keep - self._count
        if room <= 0 or not len(latent):
            return
        self._latents.append(latent[:room].detach().float().cpu())
        if codes is not None:
            self._codes.append(codes[:room].detach().cpu())
        self._count += min(room, len(latent))

    def check(self, step: int) -> list[str]:
        """What is wrong after `step` steps; nothing between the checks. Forgets what it saw."""
        if step % self.every or self._count < 2:
            return []
        codes = torch.cat(self._codes) if self._codes else None
        found = health(torch.cat(self._latents), codes, self.codebook)
        self._latents, self._codes, self._count = [], [], 0
        self.log.append((step, found))
        return complaints(found) if step >= self.from_step else []

    def warn(self, step: int) -> list[str]:
        """As `check`; prints each complaint on stderr."""
        said = self.check(step)
        for line in said:
            print(f"collapse alarm, step {step}: {line}", file=sys.stderr, flush=True)
        return said
