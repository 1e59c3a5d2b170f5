"""What is seen to where the hand will be: the first points of the picture as subgoals."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robowm.policy.cameras import Cameras
from robowm.policy.goal_head import MOVED, plain
from robowm.policy.heading import Heading
from robowm.policy.ray import along_the_ray
from robowm.policy.turning import Triple

READER, WHICH, LOOK_DROPOUT = 128, 16, 0.2


class GoalReader(nn.Module):
    """The first G points in the picture to the proprioception that the arm will have there.

    Where the hand will be follows from where it will be seen: no feature of the picture has a say
    in it. Where the camera is known (`cameras`, found from motion by `robowm.policy.eye`), only the
    height is learnt, and the point is followed along its ray to there; else all is. The height is
    told by the instruction, the gripper and whether all is done, by which a hand that is to close
    and one that has let go differ: a few demonstrations would have it told by where the arm is,
    and in the next episode it is elsewhere. All is done if something was let go and nothing is
    outlined that will be taken. How the hand will be turned is found by turning the picture about
    there (`robowm.policy.heading`), where there is a camera and the state holds directions; else it
    is read off what is seen.

    Args:
        width: D, length of a token.
        state_dim: S.
        frames: T, moments of proprioception.
        subgoals: G.
        places: columns of the state that are the hand's place, x, y and z; none: it has no such.
        vectors: columns of every other vector in it; none: no picture is turned.
    """

    looked: Tensor

    def __init__(
        self,
        width: int,
        state_dim: int,
        frames: int,
        subgoals: int,
        places: Sequence[int],
        vectors: Sequence[Triple] = (),
    ) -> None:
        super().__init__()
        self.places = tuple(places)
        self.which = nn.Parameter(0.3 * torch.randn(subgoals, WHICH))
        known = width + frames * state_dim + WHICH
        self.known = plain(width + frames + 1 + WHICH, READER, state_dim, 2)
        self.seen = plain(known + 5, READER, state_dim, 2)
        self.look = nn.Sequential(
            nn.Dropout(LOOK_DROPOUT), *plain(width + known + 2, READER, state_dim, 2)
        )
        looked = torch.ones(state_dim)
        looked[list(places)] = 0
        self.register_buffer("looked", looked, persistent=False)
        self.cameras = Cameras()
        self.heading = Heading(width + WHICH, state_dim, places, vectors) if vectors else None

    def know_cameras(
        self,
        matrices: Tensor | None,
        looks: Tensor,
        scale: tuple[np.ndarray, np.ndarray],
        rooms: np.ndarray | None = None,
    ) -> None:
        """Read places by these projections from now on; None: do not.

        Args:
            matrices, looks, rooms: see `Cameras.know`.
            scale: mean and deviation (S,) of the state, by which it is normalised.
        """
        if matrices is not None:
            self.cameras.know(matrices, looks, rooms)
        if self.heading is not None:
            for own, value in zip(
                (self.heading.directions.mean, self.heading.directions.deviation),
                scale,
                strict=True,
            ):
                own.copy_(torch.from_numpy(value))

    def blind(self, words: Tensor, gripper: Tensor, done: Tensor) -> Tensor:
        """Subgoals (B, G, S) as they are told without a picture: of them the height is right.

        Args:
            words: (B, D), the instruction.
            gripper: (B, T), the state's last number, oldest first.
            done: (B,), from 0 to 1, whether all is done.
        """
        # as large as the gripper's numbers: what depends on both is learnt in a short training, too
        words = F.layer_norm(words, words.shape[-1:])
        told = torch.cat([words, gripper, done[:, None]], dim=1)[:, None]
        which = self.which.expand(len(words), -1, -1)
        told = torch.cat([told.expand(-1, which.shape[1], -1), which], dim=-1)
        found: Tensor = self.known(told).float()
        return found

    def forward(
        self,
        at: Tensor,
        what: Tensor,
        words: Tensor,
        state: Tensor,
        picture: tuple[Tensor, Tensor | None],
        shown: Tensor | None = None,
        released: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Subgoals (B, G, S), and the cross-entropy of their headings; None where there is none.

        Args:
            at: (B, G, 2), where in the picture, from -1 to 1.
            what: (B, G, D), what is seen there.
            words: (B, D), the instruction.
            state: (B, T, S), proprioception, oldest first.
            picture: (B, 4, size, size) in [0, 1], the last channel an outline of what will be
                taken, and by how much it was moved, (B, 2) in the units of `at`, or None.
            shown: (B, G, S), the true subgoals, where they are known.
            released: (B,), 1 where the hand has let something go in this episode, else 0; None:
                nowhere.
        """
        now = state[:, -1]
        steps = MOVED * (now[:, None] - state[:, :-1]).flatten(1)
        shared = torch.cat([words, now, steps], dim=1)[:, None].expand(-1, at.shape[1], -1)
        which = self.which.expand(len(at), -1, -1)
        known = torch.cat([shared, which], dim=-1)
        turned = self.look(torch.cat([what, known, at], dim=-1)) * self.looked
        if not self.places or not self.cameras.known:
            x, y = at[..., :1], at[..., 1:]
            squares = torch.cat([at, x * x, x * y, y * y], dim=-1)
            return (self.seen(torch.cat([known, squares], dim=-1)) + turned).float(), None
        camera = self.cameras(picture[0][:, :3])
        left = picture[0][:, 3].flatten(1).amax(1)
        done = torch.zeros_like(left) if released is None else released * (1 - left)
        blind = self.blind(words, state[..., -1], done)
        ahead = blind * self.looked
        height = blind[..., self.places[2]]
        goals = (ahead + turned).float()
        # where it is on the ground must not be mended by how high it is
        goals[..., self.places[:2]] = along_the_ray(camera, at.float(), height.detach())
        goals[..., self.places[2]] = height
        axes = [] if self.heading is None else self.heading.directions.axes()
        if not axes:
            return goals, None
        columns = [column for triple in axes for column in triple]
        goals[..., columns] = blind[..., columns]
        asked = torch.cat([words[:, None].expand(-1, at.shape[1], -1), which], dim=-1)
        seen = picture[0], camera, picture[1]
        assert self.heading is not None
        headed: tuple[Tensor, Tensor | None] = self.heading(goals, now, asked, seen, shown)
        return headed
