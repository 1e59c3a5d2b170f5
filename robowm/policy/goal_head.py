"""Goals and a head that acts on them: the picture says where to, proprioception how to get there.

The head is not shown the picture, so it cannot learn demonstrations by heart, and it can be trained
on as many turned copies of them as one likes (`robowm.policy.turning`). It regresses a chunk with
an L1 loss (as ACT does: Zhao et al., "Learning Fine-Grained Bimanual Manipulation with Low-Cost
Hardware", 2023): given the goals, little is left to choose between.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

HIDDEN = 256
MOST = 5.0  # deviations; further away is as far
MOVED = 4.0  # in a step a state moves by about a quarter of its deviation


class GoalHead(nn.Module):
    """Proprioception and subgoals to a chunk of actions, all in normalised units.

    Args:
        state_dim: S.
        frames: T, moments of proprioception.
        subgoals: G.
        shape: (H, A), the chunk's.
        places: columns of the state that are the hand's place. Of them only differences are seen:
            what is done does not depend on where on the table it is.
    """

    kept: Tensor

    def __init__(
        self,
        state_dim: int,
        frames: int,
        subgoals: int,
        shape: tuple[int, int],
        places: Sequence[int],
    ) -> None:
        super().__init__()
        kept = [column for column in range(state_dim) if column not in places]
        self.register_buffer("kept", torch.tensor(kept), persistent=False)
        count = (frames - 1 + subgoals) * state_dim + (1 + subgoals) * len(kept)
        self.shape = shape
        self.net = plain(count, HIDDEN, shape[0] * shape[1])

    def forward(self, state: Tensor, subgoals: Tensor) -> Tensor:
        """Actions (B, H, A) from proprioception (B, T, S), oldest first, and goals (B, G, S)."""
        now = state[:, -1:]
        parts = [subgoals - now, MOVED * (now - state[:, :-1])]
        parts += [now[..., self.kept], subgoals[..., self.kept]]
        seen = torch.cat([part.flatten(1) for part in parts], dim=1).clamp(-MOST, MOST)
        return self.net(seen).unflatten(1, self.shape).float()

    def error(self, chunk: Tensor, actions: Tensor) -> Tensor:
        """How wrong a chunk (B, H, A) is, (B, H): L1."""
        return (chunk - actions).abs().mean(-1)


def plain(count: int, hidden: int, out: int, depth: int = 3) -> nn.Sequential:
    """A plain network from `count` to `out` numbers with `depth` hidden layers."""
    layers: list[nn.Module] = []
    for width in (count, *(depth - 1) * (hidden,)):
        layers += [nn.Linear(width, hidden), nn.SiLU()]
    return nn.Sequential(*layers, nn.Linear(hidden, out))
