"""The decoder that goes by goals: what each half may see, and that both learn."""

from dataclasses import replace

import pytest
import torch

from robowm.policy.goal_decoder import GoalDecoder
from robowm.policy.goal_head import GoalHead
from robowm.policy.goal_reader import GoalReader
from robowm.policy.shown import DecoderConfig, Demonstrated, Practice
from robowm.policy.so_far import SoFar
from robowm.world.backbone import BackboneConfig

pytestmark = pytest.mark.slow

CONFIG = DecoderConfig(
    backbone=BackboneConfig(size_px=16, grid=2, points=3, channels=16, width=32, depth=1, heads=2),
    state_dim=4,
    state_frames=3,
    state_places=(0, 1, 2),
    action_dim=2,
    horizon=4,
)


def unseen(count: int) -> tuple[torch.Tensor, None]:
    """Pictures in which nothing is outlined; without directions none is turned."""
    return torch.zeros(count, 4, 16, 16), None


def test_the_head_sees_no_place_only_differences() -> None:
    torch.manual_seed(0)
    head = GoalHead(4, 3, 2, (4, 2), places=(0, 1, 2))
    state, subgoals = torch.randn(5, 3, 4), torch.randn(5, 2, 4)
    away = torch.tensor([3.0, -2.0, 1.0, 0.0])
    torch.testing.assert_close(head(state + away, subgoals + away), head(state, subgoals))
    other = torch.tensor([0.0, 0.0, 0.0, 1.0])  # the gripper is no place
    assert not torch.allclose(head(state + other, subgoals + other), head(state, subgoals))


def test_a_place_is_read_off_the_map_and_not_off_the_picture() -> None:
    torch.manual_seed(0)
    reader = GoalReader(8, 4, 3, 2, places=(0, 1, 2)).eval()
    at, words, state = torch.rand(5, 2, 2), torch.randn(5, 8), torch.randn(5, 3, 4)
    one, other = (reader(at, torch.randn(5, 2, 8), words, state, unseen(5))[0] for _ in range(2))
    torch.testing.assert_close(one[..., :3], other[..., :3])
    assert not torch.allclose(one[..., 3], other[..., 3])


def test_a_moved_picture_does_not_move_the_goal() -> None:
    torch.manual_seed(0)
    net = GoalDecoder(CONFIG).eval()
    frames, state = torch.rand(2, 2, 3, 16, 16), torch.randn(2, 3, 4)
    seen = net.backbone(frames, ["", ""])
    reads: list[torch.Tensor] = []
    net.reader.register_forward_pre_hook(lambda _, inputs: reads.append(inputs[0]))
    moved = torch.tensor([[0.25, 0.0], [0.0, -0.5]])
    valid = torch.ones(2, 4, dtype=torch.bool)
    net.loss(frames, ["", ""], state, Demonstrated(torch.zeros(2, 4, 2), valid, moved=moved))
    expected = seen.points.places[:, :2] - torch.tensor([[[0.25, 0.0]], [[0.0, -0.5]]])
    torch.testing.assert_close(reads[0], expected)


def test_practice_leaves_the_picture_alone() -> None:
    torch.manual_seed(0)
    net = GoalDecoder(CONFIG)
    valid = torch.ones(6, 4, dtype=torch.bool)
    practice = Practice(torch.randn(6, 3, 4), torch.randn(6, 2, 4), torch.randn(6, 4, 2), valid)
    shown = Demonstrated(torch.randn(2, 4, 2), valid[:2], practice=practice)
    losses = net.loss(torch.rand(2, 2, 3, 16, 16), ["", ""], torch.randn(2, 3, 4), shown)
    assert list(losses) == ["action_error"]
    losses["action_error"].backward()
    assert all(p.grad is not None for p in net.head.parameters())
    assert all(p.grad is None for p in net.backbone.parameters())


def test_video_teaches_where_and_what_for_but_not_how() -> None:
    torch.manual_seed(0)
    net = GoalDecoder(CONFIG)
    shown = Demonstrated(
        actions=torch.full((4, 4, 2), torch.nan),
        valid=torch.ones(4, 4, dtype=torch.bool),
        subgoals=torch.full((4, 2, 4), torch.nan),
        places=torch.zeros(4, 2, 2),
        practice=Practice(
            torch.randn(6, 3, 4),
            torch.randn(6, 2, 4),
            torch.randn(6, 4, 2),
            torch.ones(6, 4, dtype=torch.bool),
        ),
        taken=torch.zeros(4, 16, 16),
        filmed=torch.tensor([False, False, True, True]),
    )
    for values in (shown.actions, shown.subgoals):
        assert values is not None
        values[:2] = 0.0  # only the demonstrations' are known
    losses = net.loss(torch.rand(4, 2, 3, 16, 16), [""] * 4, torch.randn(4, 3, 4), shown)
    assert set(losses) == {"action_error", "subgoal_l1", "place_nats", "outline"}
    assert torch.stack([*losses.values()]).isfinite().all()


def test_without_known_goals_it_learns_from_the_picture_to_the_actions() -> None:
    net = GoalDecoder(CONFIG)  # lerobot-train has no keyframes
    shown = Demonstrated(torch.randn(2, 4, 2), torch.ones(2, 4, dtype=torch.bool))
    net.loss(torch.rand(2, 2, 3, 16, 16), ["", ""], torch.randn(2, 3, 4), shown)[
        "action_error"
    ].backward()
    assert net.backbone.encoder.stem[1].weight.grad.abs().sum() > 0


def test_it_goes_to_the_bright_spot() -> None:
    torch.manual_seed(0)
    net = GoalDecoder(CONFIG)
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)

    def scene(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        cell = torch.randint(2, 14, (count, 2))
        frames = torch.zeros(count, 2, 3, 16, 16)
        for i, (x, y) in enumerate(cell.tolist()):
            frames[i, :, :, y - 1 : y + 2, x - 1 : x + 2] = 1
        return frames, (cell + 0.5) / 8 - 1, torch.randn(count, 1, 4).expand(-1, 3, -1)

    for _ in range(300):
        frames, at, state = scene(32)
        subgoals = torch.cat([at, torch.zeros(32, 2)], dim=1)[:, None].expand(-1, 2, -1)
        actions = (at - state[:, -1, :2])[:, None].expand(-1, 4, -1)
        places, valid = at[:, None].expand(-1, 2, -1), torch.ones(32, 4, dtype=torch.bool)
        losses = net.loss(frames, [""] * 32, state, Demonstrated(actions, valid, subgoals, places))
        optimizer.zero_grad()
        torch.stack([*losses.values()]).sum().backward()
        optimizer.step()
    frames, at, state = scene(64)
    chunk = net.eval().sample(frames, [""] * 64, state)
    error = (chunk[:, 0] - (at - state[:, -1, :2])).norm(dim=-1)
    assert error.median() < 0.25  # doing nothing: about 1.5


@pytest.mark.parametrize("changes", [{"state_dim": 0}, {"subgoals": 0}, {"subgoals": 4}])
def test_it_needs_goals_it_can_point_at(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="no more subgoals than points"):
        GoalDecoder(replace(CONFIG, **changes))


def test_a_known_camera_is_followed_to_the_height() -> None:
    torch.manual_seed(0)
    reader = GoalReader(8, 4, 3, 2, places=(0, 1, 2)).eval()
    camera = torch.tensor([[0.5, 0.1, 0.2, 0.1], [0.0, -0.4, 0.3, 0.0], [0.1, 0.05, 0.2, 1.0]])
    reader.cameras.know(camera[None], torch.zeros(1, 256))
    at, what, words = torch.rand(5, 2, 2) - 0.5, torch.randn(5, 2, 8), torch.randn(5, 8)
    goal, _ = reader(at, what, words, torch.randn(5, 3, 4), unseen(5))
    seen = torch.cat([goal[..., :3], torch.ones(5, 2, 1)], dim=-1) @ camera.T
    torch.testing.assert_close(seen[..., :2] / seen[..., 2:], at)
    again, _ = reader(at, torch.randn(5, 2, 8), words, torch.zeros(5, 3, 4), unseen(5))
    assert not torch.allclose(again[..., 3], goal[..., 3])


def test_an_error_on_the_ground_is_not_mended_by_the_height() -> None:
    torch.manual_seed(0)
    reader = GoalReader(8, 4, 3, 2, places=(0, 1, 2)).eval()
    reader.cameras.know(torch.eye(3, 4)[None] + 0.1, torch.zeros(1, 256))
    args = torch.rand(2, 2, 2), torch.randn(2, 2, 8), torch.randn(2, 8), torch.randn(2, 3, 4)
    goal, _ = reader(*args, unseen(2))
    goal[..., :2].sum().backward()
    told = [p.grad for p in reader.known.parameters()]
    assert all(grad is None or not grad.any() for grad in told)
    goal, _ = reader(*args, unseen(2))
    goal[..., 2].sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in reader.known.parameters())


def test_heights_are_practised_without_a_picture() -> None:
    torch.manual_seed(0)
    net = GoalDecoder(CONFIG)
    net.reader.cameras.know(torch.eye(3, 4)[None] + 0.1, torch.zeros(1, 256))
    valid = torch.ones(6, 4, dtype=torch.bool)
    moments = torch.randn(6, 3, 4), torch.randn(6, 2, 4), torch.randn(6, 4, 2), valid
    asked, told = torch.tensor([0, 1, 0, 1, 1, 0]), torch.randn(6, 2, 4)
    practice = Practice(*moments, told, asked, ["take", "put"], torch.zeros(6))
    shown = Demonstrated(torch.randn(2, 4, 2), valid[:2], practice=practice)
    losses = net.loss(torch.rand(2, 2, 3, 16, 16), ["", ""], torch.randn(2, 3, 4), shown)
    assert list(losses) == ["action_error", "height_l1"]
    words = net.backbone.words(["take", "put"])[asked]
    height = net.reader.blind(words, practice.state[..., -1], torch.zeros(6))[..., 2]
    torch.testing.assert_close(losses["height_l1"], (height - told[..., 2]).abs().mean())
    losses["height_l1"].backward()
    assert all(p.grad is not None for p in net.reader.known.parameters())
    assert all(p.grad is None for p in net.backbone.parameters())


def test_that_all_is_done_tells_the_height() -> None:
    torch.manual_seed(0)
    reader = GoalReader(8, 4, 3, 2, places=(0, 1, 2)).eval()
    reader.cameras.know(torch.eye(3, 4)[None] + 0.1, torch.zeros(1, 256))
    what = torch.randn(1, 2, 8).expand(4, -1, -1)
    args = torch.zeros(4, 2, 2), what, torch.ones(4, 8), torch.zeros(4, 3, 4)
    picture, _ = unseen(4)
    picture[2:, 3, 4:8, 4:8] = 1  # outlined: there is something to take, and if it was let go once
    released = torch.tensor([0.0, 1.0, 0.0, 1.0])
    heights = reader(*args, (picture, None), released=released)[0][..., 2]
    torch.testing.assert_close(heights[[2, 3]], heights[[0, 0]])
    assert not torch.allclose(heights[1], heights[0])
    torch.testing.assert_close(reader(*args, (picture, None))[0][..., 2], heights[[0, 0, 2, 3]])


def test_a_level_ray_leads_nowhere_far() -> None:
    reader = GoalReader(8, 4, 2, 1, places=(0, 1, 2)).eval()
    level = torch.tensor([[1.0, 0, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 1.0]])
    reader.cameras.know(level[None], torch.zeros(1, 256))
    at, what, words = torch.rand(3, 1, 2), torch.randn(3, 1, 8), torch.randn(3, 8)
    goal, _ = reader(at, what, words, torch.randn(3, 2, 4), unseen(3))
    assert goal.isfinite().all() and goal[..., :2].abs().max() <= 10


@pytest.mark.parametrize("taught", [True, False])
def test_places_learn_from_what_is_read_off_them_only_if_untaught(taught: bool) -> None:
    torch.manual_seed(0)
    net = GoalDecoder(CONFIG)
    places = torch.zeros(2, 2, 2) if taught else None
    shown = Demonstrated(
        torch.randn(2, 4, 2), torch.ones(2, 4, dtype=torch.bool), torch.randn(2, 2, 4), places
    )
    found = net.backbone.points
    assert found is not None
    net.reader.looked.zero_()  # what is left comes from the places alone
    loss = net.loss(torch.rand(2, 2, 3, 16, 16), ["", ""], torch.randn(2, 3, 4), shown)
    loss["subgoal_l1"].backward()
    assert (found.query.grad is None or not found.query.grad.any()) == taught


def test_a_second_look_is_remembered_beside_the_first() -> None:
    torch.manual_seed(0)
    net = GoalDecoder(CONFIG).eval()
    first, second = torch.rand(2, 2, 2, 3, 16, 16)
    state, episodes = torch.randn(2, 3, 4), [SoFar(), SoFar()]
    one, other = (net.foretell(frames, ["", ""], state) for frames in (first, second))
    net.sample(first, ["", ""], state, None, episodes)
    chunk = net.sample(second, ["", ""], state, None, episodes)
    expected = torch.cat([(one[..., :3] + other[..., :3]) / 2, other[..., 3:]], dim=-1)
    assert not torch.allclose(expected, other)
    torch.testing.assert_close(chunk, net.head(state, expected))
    # LeRobot's asynchronous server has no episodes, and who is not to remember does not
    for more in ([], [None, episodes, False]):
        torch.testing.assert_close(
            net.sample(second, ["", ""], state, *more), net.head(state, other)
        )
