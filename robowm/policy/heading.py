"""How the hand will be turned about the vertical, found by turning what is seen there."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from robowm.policy.directions import Directions
from robowm.policy.ray import along_the_ray, seen_at
from robowm.policy.taken import middle
from robowm.policy.turned_picture import Seen, TurnedPicture, between_ends, heading_nats, read
from robowm.policy.turning import Triple

NEARER = 2.0  # of two ends alike the one less far is 15 times as likely, until taught otherwise
TAUGHT = 8  # samples of a batch, spread over it: K patches each cost time

type _Looked = tuple[Tensor, Tensor, Seen, Tensor]
"""What `TurnedPicture` is asked."""


class Heading(nn.Module):
    """Turns the hand's directions at the next keyframes to where what is seen says.

    What will be taken is turned, where that is outlined, else the ground about the foretold place
    (`robowm.policy.turned_picture`), and each heading may be like the one before.

    Args:
        known: F, numbers of what was asked for and which keyframe it is.
        state_dim: S.
        places: columns of the state that are the hand's place, x, y and z, in metres.
        vectors: columns of every other vector in it.
    """

    def __init__(
        self, known: int, state_dim: int, places: Sequence[int], vectors: Sequence[Triple]
    ) -> None:
        super().__init__()
        self.directions = Directions(state_dim, places, vectors)
        asked, known = known, known + 2 + len(self.directions.others)
        self.turned_picture = TurnedPicture(known, asked)
        self.as_before = nn.Sequential(nn.Linear(known, 32), nn.SiLU(), nn.Linear(32, 2))

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
            goals: (B, G, S), normalised; of the directions see `Directions.turned`.
            now: (B, S), proprioception, normalised.
            asked: (B, G, F).
            seen: as `Seen`, but the cameras of normalised places, see `Cameras`; the
                picture's fourth channel outlines what will be taken at the first of them.
            shown: (B, G, S), the true goals, normalised.
        """
        picture, camera, moved = seen
        camera = self.directions.camera_in_metres(camera)
        at_m = self.directions.place_m(goals.detach())
        known = self._known(at_m, now, asked)
        before = self.directions.heading_rad(now)
        centre_m, outlined = self._centres(at_m, (picture, camera, moved))
        if shown is None:
            looked = centre_m, known, (picture, camera, moved), outlined
            headings = self._find(before, looked)
            return self.directions.turned(goals, headings), None
        headings = self.directions.heading_rad(shown)
        some = slice(None, None, max(1, len(goals) // TAUGHT))
        seen = picture[some], camera[some], None if moved is None else moved[some]
        looked = centre_m[some], known[some], seen, outlined[some]
        nats = self._nats(before[some], headings[some], looked)
        return self.directions.turned(goals, headings), nats

    def _known(self, at_m: Tensor, now: Tensor, asked: Tensor) -> Tensor:
        """What was asked for, how far it is, and what of the state no turn changes: (B, G, ...)."""
        way = at_m - self.directions.place_m(now)[:, None]
        way = way / self.directions.deviation[self.directions.places].mean()
        far = torch.stack([way[..., :2].norm(dim=-1), way[..., 2]], dim=-1)
        rest = now[:, None, self.directions.others].expand(-1, at_m.shape[1], -1)
        return torch.cat([asked, far, rest], dim=-1)

    def _centres(self, at_m: Tensor, seen: Seen) -> tuple[Tensor, Tensor]:
        """Where to look, (B, G, 3): the middle of what will be taken, where that is outlined, as
        bool (B, G) tells, else the places themselves."""
        picture, camera, moved = seen
        outlined = torch.zeros(at_m.shape[:2], dtype=torch.bool, device=at_m.device)
        shift = 0 if moved is None else moved
        at, outlined[:, 0] = middle(picture[:, 3], seen_at(camera, at_m[:, :1])[:, 0] + shift)
        ground_m = along_the_ray(camera, (at - shift)[:, None], at_m[:, :1, 2])[:, 0]
        centre_m = at_m.clone()
        centre_m[:, 0, :2] = torch.where(outlined[:, :1], ground_m, at_m[:, 0, :2])
        return centre_m, outlined

    def _find(self, before: Tensor, looked: _Looked) -> Tensor:
        """Headings (B, G), one after the other: each may be like that before."""
        _, known, _, outlined = looked
        scores, angle_rad = self.turned_picture(*looked)
        found = []
        for g in range(scores.shape[1]):
            logits = scores[:, g] + self._like(before, known[:, g], angle_rad[:, g], outlined[:, g])
            before = read(logits, angle_rad[:, g])
            found.append(before)
        return torch.stack(found, dim=1)

    def _nats(self, before: Tensor, headings: Tensor, looked: _Looked) -> Tensor:
        """Cross-entropy of the true headings (B, G), each known when the next is asked for."""
        scores, angle_rad = self.turned_picture(*looked)
        before = torch.cat([before[:, None], headings[:, :-1]], dim=1)
        logits = scores + self._like(before, looked[1], angle_rad, looked[3])
        return heading_nats(logits, angle_rad, headings)

    def _like(self, before: Tensor, known: Tensor, angle_rad: Tensor, outlined: Tensor) -> Tensor:
        """What speaks for directions (..., K) that are like, or opposite to, headings (...)."""
        weights, away = self.as_before(known).float(), angle_rad - before[..., None]
        nearer = between_ends(weights + NEARER)  # a hand turns no further than it must
        weights = torch.where(outlined[..., None], nearer, weights)
        return weights[..., :1] * away.cos() + weights[..., 1:] * (2 * away).cos()
