"""Vector quantisation by noise substitution (NSVQ; Vali and Bäckström 2022), as in LAPA, ViPRA."""

import torch
from torch import Tensor, nn


class NSVQ(nn.Module):
    """A codebook learnt without commitment loss or straight-through gradient.

    In training the quantisation error is replaced by noise of the same length, so the gradient
    reaches encoder and codebook both; in use it is the nearest code.

    Args:
        codes: how many codes.
        dim: length of one.
    """

    usage: Tensor
    begun: Tensor

    def __init__(self, codes: int, dim: int) -> None:
        super().__init__()
        self.codebook = nn.Parameter(torch.randn(codes, dim))
        self.register_buffer("usage", torch.zeros(codes))
        self.register_buffer("begun", torch.zeros((), dtype=torch.bool))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (..., dim) to the quantised (..., dim) and the indices int64 (...)."""
        x = x.float()
        if self.training and not self.begun:
            self._begin(x.detach().reshape(-1, x.shape[-1]))
        with torch.no_grad():
            index = torch.cdist(x.reshape(-1, x.shape[-1]), self.codebook).argmin(-1)
        nearest = self.codebook[index].view_as(x)
        if self.training:
            with torch.no_grad():
                self.usage += torch.bincount(index, minlength=len(self.codebook))
            noise = torch.randn_like(x)
            length = (x - nearest).norm(dim=-1, keepdim=True)
            nearest = x + length / noise.norm(dim=-1, keepdim=True).clamp_min(1e-6) * noise
        return nearest, index.view(x.shape[:-1])

    @torch.no_grad()
    def _begin(self, x: Tensor) -> None:
        """Place the codes on samples of the first batch, each far from the ones before it."""
        self.codebook[0] = x[torch.randint(len(x), ())]
        for i in range(1, len(self.codebook)):
            far = torch.cdist(x, self.codebook[:i]).min(dim=1).values
            self.codebook[i] = x[torch.multinomial(far + 1e-6, 1)[0]]
        self.begun.fill_(True)

    @torch.no_grad()
    def replace_dead(self, least_share: float = 0.015) -> int:
        """Move codes used less than `least_share` next to used ones; forget the counts.

        Returns:
            how many were moved.
        """
        share = self.usage / self.usage.sum().clamp_min(1)
        dead = share < least_share
        count = int(dead.sum())
        if 0 < count < len(share):
            alive = self.codebook[~dead]
            chosen = torch.multinomial(share[~dead], count, replacement=True)
            beside = 0.1 * alive.square().mean().sqrt() * torch.randn_like(alive[chosen])
            self.codebook[dead] = alive[chosen] + beside
        self.usage.zero_()
        return count


def perplexity(indices: Tensor, codes: int) -> float:
    """exp of the entropy of code use: 1 when collapsed, `codes` when all are used alike."""
    share = torch.bincount(indices.flatten(), minlength=codes).double()
    share = share / share.sum().clamp_min(1)
    return float(torch.special.entr(share).sum().exp())
