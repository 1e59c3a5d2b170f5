"""How the hand will be turned about the vertical, found by turning what is seen there.

A picture of a few centimetres of the ground, as if from above, is taken about the place where the
hand will be, in each of K directions, and one small network says of each how well it fits (as Zeng
et al., "Transporter Networks: Rearranging the Visual World for Robotic Manipulation", 2020, find
the turn of a placement). What it learns of one direction it so knows of all; asked for the answer
itself, a network learnt 25 demonstrations by heart (docs/results.md). The camera was found from
motion (`robowm.policy.eye`); nothing is calibrated.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robowm.policy.turning import Triple, turn

DIRECTIONS = 24
PATCH_PX, HALF_M = 24, 0.06
CHANNELS, HIDDEN, DROPOUT = 24, 64, 0.1
STRAY_M = 0.01  # in training the place is moved by so much: it is not found more finely either
SHARPNESS = 30.0  # of the wanted distribution: 10 degrees
NEAR_RAD = 0.4
TAUGHT = 4  # of so many samples one is looked at: K patches each cost time
UNIT, FLAT = 0.1, 0.5

type Seen = tuple[Tensor, Tensor, Tensor | None]


class Heading(nn.Module):
    """Turns the hand's directions at the next keyframes to where what is seen says.

    Args:
        known: F, numbers of what was asked for and which keyframe it is.
        state_dim: S.
        places: columns of the state that are the hand's place, x, y and z, in metres.
        vectors: columns of every other vector in it.

    Attributes:
        mean, deviation: (S,), of the state, by which it is normalised.
        aside_m: (2,). A camera found from motion follows some point of the hand. What the hand
            will close on is seen this much aside of it, on the ground.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, known: int, state_dim: int, places: Sequence[int], vectors: Sequence[Triple]
    ) -> None:
        super().__init__()
        self.places: list[int] = list(places)
        self.vectors: list[Triple] = [(x, y, z) for x, y, z in vectors]
        taken = {*places, *(column for triple in vectors for column in triple)}
        self.others = [column for column in range(state_dim) if column not in taken]
        c, known = CHANNELS, known + 2 + len(self.others)
        self.seen = nn.Sequential(
            *(nn.Conv2d(3, c, 5, 2, 2), nn.SiLU()),
            *(nn.Conv2d(c, c, 3, 2, 1), nn.SiLU()),
            *(nn.Conv2d(c, c, 3, 1, 1), nn.SiLU()),
            nn.Flatten(),
        )
        count = c * (PATCH_PX // 4) ** 2 + known
        self.fits = nn.Sequential(
            *(nn.Dropout(DROPOUT), nn.Linear(count, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, 1))
        )
        # of opposite directions that look alike the demonstrations may always take the same
        self.habit = nn.Linear(known, 6)
        nn.init.zeros_(self.habit.weight)
        nn.init.zeros_(self.habit.bias)
        self.as_before = nn.Sequential(nn.Linear(known, 32), nn.SiLU(), nn.Linear(32, 2))
        self.aside_m = nn.Parameter(torch.zeros(2))
        self.register_buffer("mean", torch.zeros(state_dim))
        self.register_buffer("deviation", torch.ones(state_dim))

    def directions(self) -> list[Triple]:
        """Vectors of length one, that which lies flattest first; none: nothing tells a heading."""
        square = self.mean.square() + self.deviation.square()
        unit = [t for t in self.vectors if abs(float(square[list(t)].sum()) - 1) < UNIT]
        flat: list[Triple] = sorted(unit, key=lambda t: -float(square[list(t[:2])].sum()))
        return flat if flat and float(square[list(flat[0][:2])].sum()) > FLAT else []

    def forward(
        self,
        goals: Tensor,
        now: Tensor,
        asked: Tensor,
        seen: Seen,
        shown: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """The goals, turned; and the cross-entropy of their headings where they are shown.

        Args:
            goals: (B, G, S), normalised. The directions are those of a hand that heads along x,
                and of these x and y are in deviations, from 0.
            now: (B, S), proprioception, normalised.
            asked: (B, G, F).
            seen: the picture (B, 3, S, S) in [0, 1]; the camera (3, 4), see `GoalReader.camera`;
                and by how much the picture was moved, (B, 2) in the camera's units, or None.
            shown: (B, G, S), the true goals, normalised.
        """
        directions = self.directions()
        at_m, now_m = (
            values[..., self.places] * self.deviation[self.places] + self.mean[self.places]
            for values in (goals.detach(), now[:, None])
        )
        way = (at_m - now_m) / self.deviation[self.places].mean()
        far = torch.stack([way[..., :2].norm(dim=-1), way[..., 2]], dim=-1)
        rest = now[:, None, self.others].expand(-1, goals.shape[1], -1)
        known = torch.cat([asked, far, rest], dim=-1)
        before = self._of(now, directions[0])
        if shown is None:
            headings, nats = self._find(before, at_m, known, seen), None
        else:
            headings = self._of(shown, directions[0])
            some = slice(None, None, TAUGHT)
            picture, camera, moved = seen
            seen = (picture[some], camera, None if moved is None else moved[some])
            nats = self._nats(before[some], headings[some], at_m[some], known[some], seen)
        return self._turned(goals, headings, directions), nats

    def _turned(self, goals: Tensor, headings: Tensor, directions: list[Triple]) -> Tensor:
        columns = [column for triple in directions for column in triple]
        upright = torch.zeros_like(self.mean)
        upright[[z for _, _, z in directions]] = 1  # heights stay, turned about the vertical
        own = turn(goals * self.deviation + self.mean * upright, headings, directions)
        goals = goals.clone()
        goals[..., columns] = (own[..., columns] - self.mean[columns]) / self.deviation[columns]
        return goals

    def _find(self, before: Tensor, at_m: Tensor, known: Tensor, seen: Seen) -> Tensor:
        """Headings (B, G), one after the other: each may be like that before."""
        scores, angle_rad = self._scores(at_m, known, *seen)
        found = []
        for g in range(scores.shape[1]):
            logits = scores[:, g] + self._like(before, known[:, g], angle_rad[:, g])
            before = read(logits, angle_rad[:, g])
            found.append(before)
        return torch.stack(found, dim=1)

    def _nats(
        self, before: Tensor, headings: Tensor, at_m: Tensor, known: Tensor, seen: Seen
    ) -> Tensor:
        """Cross-entropy of the true headings (B, G), each known when the next is asked for."""
        scores, angle_rad = self._scores(at_m, known, *seen)
        before = torch.cat([before[:, None], headings[:, :-1]], dim=1)
        logits = scores + self._like(before, known, angle_rad)
        wanted = (SHARPNESS * (angle_rad - headings[..., None]).cos()).softmax(-1)
        return -(wanted * logits.log_softmax(-1)).sum(-1).mean()

    def _like(self, before: Tensor, known: Tensor, angle_rad: Tensor) -> Tensor:
        """What speaks for directions (..., K) that are like, or opposite to, headings (...)."""
        weights, away = self.as_before(known).float(), angle_rad - before[..., None]
        return weights[..., :1] * away.cos() + weights[..., 1:] * (2 * away).cos()

    def _of(self, state: Tensor, direction: Triple) -> Tensor:
        """Headings (...) of states (..., S), radians."""
        x, y = (state[..., c] * self.deviation[c] + self.mean[c] for c in direction[:2])
        return torch.atan2(y, x)

    def _scores(
        self, at_m: Tensor, known: Tensor, picture: Tensor, camera: Tensor, moved: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Logits (B, G, K), and the directions (B, G, K) they are of, radians."""
        begin = torch.zeros_like(at_m[..., :1])
        if self.training:
            at_m, begin = at_m + STRAY_M * torch.randn_like(at_m), torch.rand_like(begin)
        steps = torch.arange(DIRECTIONS, device=at_m.device)
        angle_rad = (begin + steps) * 2 * math.pi / DIRECTIONS
        patches = self.patches(picture, at_m, angle_rad, camera, moved)
        if self.training:  # mirrored, what fits still does
            mirror = torch.rand_like(begin)[..., None, None, None] < 0.5
            patches = torch.where(mirror, patches.flip(-2), patches)
        seen = self.seen(patches.flatten(0, 2)).unflatten(0, angle_rad.shape)
        told = known[:, :, None].expand(-1, -1, DIRECTIONS, -1)
        fits = self.fits(torch.cat([seen, told.to(seen.dtype)], dim=-1))[..., 0].float()
        waves = [wave(k * angle_rad) for k in (1, 2, 3) for wave in (torch.cos, torch.sin)]
        habit = (self.habit(known)[:, :, None].float() * torch.stack(waves, dim=-1)).sum(-1)
        return fits + habit, angle_rad

    def patches(
        self,
        picture: Tensor,
        at_m: Tensor,
        angle_rad: Tensor,
        camera: Tensor,
        moved: Tensor | None = None,
    ) -> Tensor:
        """What is seen on the ground about places (B, G, 3): (B, G, K, 3, PATCH_PX, PATCH_PX).

        The x axis of a patch lies along its direction, of those (B, G, K).
        """
        line = HALF_M * ((torch.arange(PATCH_PX, device=at_m.device) + 0.5) * 2 / PATCH_PX - 1)
        y, x = torch.meshgrid(line, line, indexing="ij")
        sine, cosine = angle_rad.sin()[..., None, None], angle_rad.cos()[..., None, None]
        centre_m, height_m = at_m[..., :2] + self.aside_m, at_m[..., 2, None, None, None]
        right = centre_m[..., 0, None, None, None] + cosine * x - sine * y
        up = centre_m[..., 1, None, None, None] + sine * x + cosine * y
        place_m = torch.stack([right, up, height_m.expand_as(right)], dim=-1)
        row = (place_m - self.mean[self.places]) / self.deviation[self.places]
        row = row @ camera[:, :3].T + camera[:, 3]
        where = row[..., :2] / row[..., 2:]
        if moved is not None:
            where = where + moved[:, None, None, None, None]
        cut = F.grid_sample(
            picture.float(), where.flatten(1, 3), padding_mode="border", align_corners=False
        )
        shape = (*angle_rad.shape[1:], PATCH_PX)
        return cut.unflatten(2, shape).permute(0, 2, 3, 1, 4, 5)


def read(logits: Tensor, angle_rad: Tensor) -> Tensor:
    """The likeliest of directions (..., K), between the K: the mean of those near it, radians."""
    best = angle_rad.gather(-1, logits.argmax(-1, keepdim=True))
    away = torch.remainder(angle_rad - best + math.pi, 2 * math.pi) - math.pi
    weights = logits.softmax(-1) * (away.abs() < NEAR_RAD)
    return best[..., 0] + (weights * away).sum(-1) / weights.sum(-1)
