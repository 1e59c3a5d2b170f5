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
READER, WHICH, LOOK_DROPOUT = 128, 16, 0.2
LEAST_AREA = 1e-4
FARTHEST = 10.0  # deviations: further than that no hand goes
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
        layers: list[nn.Module] = []
        for width in (count, HIDDEN, HIDDEN):
            layers += [nn.Linear(width, HIDDEN), nn.SiLU()]
        self.net = nn.Sequential(*layers, nn.Linear(HIDDEN, shape[0] * shape[1]))

    def forward(self, state: Tensor, subgoals: Tensor) -> Tensor:
        """Actions (B, H, A) from proprioception (B, T, S), oldest first, and goals (B, G, S)."""
        now = state[:, -1:]
        parts = [subgoals - now, MOVED * (now - state[:, :-1])]
        parts += [now[..., self.kept], subgoals[..., self.kept]]
        seen = torch.cat([part.flatten(1) for part in parts], dim=1).clamp(-MOST, MOST)
        return self.net(seen).unflatten(1, self.shape).float()


class GoalReader(nn.Module):
    """The first G points in the picture to the proprioception that the arm will have there.

    Where the hand will be follows from where it will be seen: no feature of the picture has a say
    in it. Where the camera is known (`camera`, found from motion by `robowm.policy.eye`), only the
    height is learnt, and the point is followed along its ray to there; else all is. How the hand
    will be turned is read off what is seen at the point.

    Args:
        width: D, length of a token.
        state_dim: S.
        frames: T, moments of proprioception.
        subgoals: G.
        places: columns of the state that are the hand's place, x, y and z; none: it has no such.

    Attributes:
        camera: (3, 4), from a place in normalised units, and 1, to a point in the picture, (x, y)
            from -1 to 1, as homogeneous coordinates; zeros: not known.
    """

    looked: Tensor
    camera: Tensor

    def __init__(
        self, width: int, state_dim: int, frames: int, subgoals: int, places: Sequence[int]
    ) -> None:
        super().__init__()
        self.places = tuple(places)
        self.which = nn.Parameter(0.3 * torch.randn(subgoals, WHICH))
        known = width + frames * state_dim + WHICH
        self.known = _three(known, state_dim)
        self.seen = _three(known + 5, state_dim)
        self.look = nn.Sequential(nn.Dropout(LOOK_DROPOUT), *_three(width + known + 2, state_dim))
        looked = torch.ones(state_dim)
        looked[list(places)] = 0
        self.register_buffer("looked", looked, persistent=False)
        self.register_buffer("camera", torch.zeros(3, 4))

    def forward(self, at: Tensor, what: Tensor, words: Tensor, state: Tensor) -> Tensor:
        """Subgoals (B, G, S).

        Args:
            at: (B, G, 2), where in the picture, from -1 to 1.
            what: (B, G, D), what is seen there.
            words: (B, D), the instruction.
            state: (B, T, S), proprioception, oldest first.
        """
        now = state[:, -1]
        steps = MOVED * (now[:, None] - state[:, :-1]).flatten(1)
        shared = torch.cat([words, now, steps], dim=1)[:, None].expand(-1, at.shape[1], -1)
        known = torch.cat([shared, self.which.expand(len(at), -1, -1)], dim=-1)
        turned = self.look(torch.cat([what, known, at], dim=-1)) * self.looked
        if self.places and self.camera.any():
            blind = self.known(known).float()
            ahead = blind * self.looked
            height = blind[..., self.places[2]]
            return (ahead + turned).float() + self._along_the_ray(at.float(), height, now.shape[1])
        x, y = at[..., :1], at[..., 1:]
        squares = torch.cat([at, x * x, x * y, y * y], dim=-1)
        return (self.seen(torch.cat([known, squares], dim=-1)) + turned).float()

    def _along_the_ray(self, at: Tensor, height: Tensor, state_dim: int) -> Tensor:
        """States (B, G, S) seen at `at` (B, G, 2), `height` (B, G) high; 0 in what is no place."""
        # two rows of a projection say (row - at * depth) . (x, y, z, 1) = 0: solve them for x, y
        rows = self.camera[:2] - at[..., None] * self.camera[2]
        (a, b), (c, d) = rows[..., 0, :2].unbind(-1), rows[..., 1, :2].unbind(-1)
        right = -(rows[..., 2] * height[..., None] + rows[..., 3])
        p, q = right.unbind(-1)
        area = a * d - b * c
        area = torch.where(area.abs() < LEAST_AREA, LEAST_AREA, area)  # a ray that is nearly level
        found = at.new_zeros(*at.shape[:2], state_dim)
        found[..., self.places[0]] = ((p * d - q * b) / area).clamp(-FARTHEST, FARTHEST)
        found[..., self.places[1]] = ((a * q - c * p) / area).clamp(-FARTHEST, FARTHEST)
        found[..., self.places[2]] = height
        return found


def _three(count: int, out: int) -> nn.Sequential:
    layers = [nn.Linear(count, READER), nn.SiLU(), nn.Linear(READER, READER), nn.SiLU()]
    return nn.Sequential(*layers, nn.Linear(READER, out))
