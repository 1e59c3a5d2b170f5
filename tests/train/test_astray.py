"""Moments moved off the way: how far an action leads, the way back, waiting before a grip."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from robowm.policy.turning import Turning
from robowm.train.astray import (
    FAR_M,
    FAR_RAD,
    GOES,
    LATE_S,
    SHARE,
    SPREAD_M,
    STANDING,
    THERE_M,
    WAIT_S,
    Astray,
    in_steps,
)
from robowm.train.frames import Frames
from robowm.train.goals import Goals, goal_rows
from robowm.train.practice import practise

STATE, ACTION = ["hand_x_m", "hand_y_m", "hand_z_m", "fingers"], ["dx", "dy", "dz", "gripper"]
TURNING = Turning.of(STATE, ACTION)
HZ = 5.0
ASTRAY = Astray((0, 1, 2), (0, 1, 2), metres=0.05, control_hz=HZ)
LATE, WAIT = in_steps(LATE_S, HZ), in_steps(WAIT_S, HZ)
BACK = ASTRAY.way_back().tolist()


def shown(metres: float = 0.05, lag: float = 0.4) -> Frames:
    """Two episodes of a hand that follows what it is told by and by."""
    rng = np.random.default_rng(0)
    lengths = np.array([60, 80])
    told = rng.normal(0, 0.3, (140, 4)).astype(np.float32)
    told[:, 3] = np.where(np.arange(140) % 40 < 25, 1, -1)
    place = np.zeros((140, 3))
    for begin, end in ((0, 60), (60, 140)):
        owed = np.zeros(3)
        for row in range(begin, end - 1):
            owed += metres * told[row, :3]
            place[row + 1] = place[row] + (1 - lag) * owed
            owed *= lag
    ends = lengths.cumsum()
    return Frames(
        pixels=np.zeros((140, 1, 1, 3), np.uint8),
        start=np.repeat(ends - lengths, lengths),
        end=np.repeat(ends, lengths),
        task=np.zeros(140, np.int64),
        tasks=[""],
        episode=np.repeat([0, 1], lengths),
        columns={
            "observation.state": np.c_[place, told[:, 3] * 0.03].astype(np.float32),
            "action": told,
        },
    )


@pytest.mark.parametrize("metres", [0.05, 0.01])
def test_how_far_an_action_leads_is_read_off_the_demonstrations(metres: float) -> None:
    assert TURNING is not None
    found = Astray.of(shown(metres), np.arange(140), TURNING, HZ)
    assert found is not None
    assert (found.place, found.move) == ((0, 1, 2), (0, 1, 2))
    assert found.metres == pytest.approx(metres, rel=0.03)


@pytest.mark.parametrize("rows", [np.arange(140), np.arange(4)])
def test_a_hand_that_stands_still_is_not_moved_away(rows: np.ndarray) -> None:
    assert TURNING is not None
    frames = shown()
    frames.columns["observation.state"][:, :3] = 0.2
    assert Astray.of(frames, rows, TURNING, HZ) is None


def test_three_in_ten_are_moved_mostly_level() -> None:
    torch.manual_seed(0)
    offsets_m = ASTRAY.offsets_m(5000)
    some = offsets_m.norm(dim=1) > 0
    assert float(some.float().mean()) == pytest.approx(SHARE, abs=0.02)
    np.testing.assert_allclose(offsets_m[some].std(0), SPREAD_M, rtol=0.1)


def test_the_way_back_is_as_long_as_the_way_there() -> None:
    state, actions = torch.zeros(2, 3, 4), torch.randn(2, 9, 4)
    valid, left = torch.ones(2, 8, dtype=torch.bool), torch.tensor([LATE, 20])
    offset_m = torch.tensor([[0.03, -0.02, 0.01], [0.0, 0.0, 0.0]])
    away, back, _ = ASTRAY.move_away(state, actions, valid, offset_m, left)
    torch.testing.assert_close(away[0, :, :3], offset_m[:1].expand(3, -1))
    change = back - actions[:, 1:]
    torch.testing.assert_close(change[0, :, :3].sum(0) * 0.05, -offset_m[0])
    assert change[0, len(BACK) :].abs().max() == 0 and change[0, :, 3].abs().max() == 0
    assert change[1].abs().max() == 0 and away[1].abs().max() == 0
    assert sum(BACK) == pytest.approx(1)


def test_the_way_back_takes_as_long_at_any_rate() -> None:
    torch.testing.assert_close(ASTRAY.way_back(), torch.tensor([0.5, 0.3, 0.2]), rtol=0, atol=0)
    for hz in (1.0, 10.0, 30.0):
        back = replace(ASTRAY, control_hz=hz).way_back()
        assert len(back) == max(1, round(0.6 * hz)) and float(back.sum()) == pytest.approx(1)
        assert float(back[: round(0.2 * hz)].sum()) == pytest.approx(0.5 if hz > 1 else 0)


@pytest.mark.parametrize(
    ("far", "left", "waits"), [(2.0, 1, True), (0.5, 1, False), (2.0, 5, False)]
)
def test_who_is_far_away_waits_before_he_grips(far: float, left: int, waits: bool) -> None:
    actions = torch.zeros(1, 9, 4)
    actions[..., :3] = torch.arange(9)[:, None] / 10
    actions[0, :, 3] = torch.tensor([1.0, 1, -1, -1, -1, -1, -1, -1, -1])  # grips a step later
    valid = torch.tensor([[True] * 5 + [False] * 3])
    offset_m = torch.tensor([[far * FAR_M, 0.0, 0.0]])
    args = torch.zeros(1, 3, 4), actions, valid, offset_m, torch.tensor([left])
    _, chunk, counted = ASTRAY.move_away(*args)
    wait = WAIT if waits else 0
    expected = torch.cat([torch.full((wait,), 1.0), actions[0, 1:, 3]])[:8]
    torch.testing.assert_close(chunk[0, :, 3], expected)  # told as the step before was
    assert counted.sum() == 5 + wait
    still = chunk[0, :, 1]  # the way back is along x
    torch.testing.assert_close(still[:wait], torch.zeros(wait))
    torch.testing.assert_close(still[wait:], actions[0, 1 : 9 - wait, 1])


TURNED = replace(ASTRAY, axes=((4, 5, 6), (7, 8, 9)), spin=(4, 5, 6), radians=0.4)


def spun(spin: np.ndarray, angle_rad: np.ndarray) -> tuple[Frames, Turning]:
    """As `shown`, of a hand that is told to turn by `spin` about the vertical and has turned by
    `angle_rad`, both (140,)."""
    axes = [f"hand_rotation_{row}{column}" for column in "xy" for row in "xyz"]
    turning = Turning.of(
        [*STATE[:3], *axes, "fingers"], [*ACTION[:3], "rot_x", "rot_y", "rot_z", "gripper"]
    )
    assert turning is not None
    frames = shown()
    place, told = frames.columns["observation.state"], frames.columns["action"]
    zero = np.zeros(140)
    x_axis = np.stack([np.cos(angle_rad), np.sin(angle_rad), zero], axis=1)
    y_axis = np.stack([-np.sin(angle_rad), np.cos(angle_rad), zero], axis=1)
    columns = {
        "observation.state": np.c_[place[:, :3], x_axis, y_axis, place[:, 3]].astype(np.float32),
        "action": np.c_[told[:, :3], zero, zero, spin, told[:, 3]].astype(np.float32),
    }
    return replace(frames, columns=columns), turning


def test_how_far_an_action_turns_is_read_off_the_demonstrations() -> None:
    spin = np.random.default_rng(1).normal(0, 0.3, 140)
    frames, turning = spun(spin, np.concatenate([[0], 0.4 * np.cumsum(spin)[:-1]]))
    found = Astray.of(frames, np.arange(140), turning, HZ)
    assert found is not None and found.spin == (3, 4, 5)
    assert found.axes == ((3, 4, 5), (6, 7, 8))
    assert found.radians == pytest.approx(0.4, rel=0.05)


def test_a_hand_that_is_never_told_to_turn_about_the_vertical_does_not_practise_it() -> None:
    tilt = np.random.default_rng(1).normal(0, 0.3, 140)
    frames, turning = spun(np.zeros(140), np.zeros(140))
    angle_rad = np.concatenate([[0], 0.4 * np.cumsum(tilt)[:-1]])
    state, action = frames.columns["observation.state"], frames.columns["action"]
    action[:, 3] = tilt  # about x
    state[:, 6:9] = np.stack([0 * tilt, np.cos(angle_rad), np.sin(angle_rad)], axis=1)
    found = Astray.of(frames, np.arange(140), turning, HZ)
    assert found is not None and found.spin is None
    action[:, 5] = 1e-3 * tilt
    found = Astray.of(frames, np.arange(140), turning, HZ)
    assert found is not None and found.radians == pytest.approx(0.4, rel=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_turns_that_do_not_follow_what_is_told_are_not_practised(seed: int) -> None:
    rng = np.random.default_rng(seed)
    spin, jolts_rad = rng.normal(0, 0.1, 140), rng.normal(0, 0.02, 140)
    frames, turning = spun(spin, np.cumsum(0.02 * spin + jolts_rad))
    found = Astray.of(frames, np.arange(140), turning, HZ)
    assert found is not None and found.spin is None


def test_a_hand_that_is_turned_away_turns_back_and_waits_before_it_grips() -> None:
    torch.manual_seed(0)
    count = 400
    state = torch.zeros(count, 3, 11)
    state[..., 4], state[..., 8] = 1, 1  # the axes are those of the room
    actions, valid = torch.full((count, 9, 8), 0.5), torch.ones(count, 8, dtype=torch.bool)
    actions[..., 7] = torch.tensor([1.0, 1, -1, -1, -1, -1, -1, -1, -1])
    away, told, _ = TURNED.move_away(
        state, actions, valid, torch.zeros(count, 3), torch.ones(count, dtype=torch.int64)
    )
    angle_rad = torch.atan2(away[:, -1, 5], away[:, -1, 4])
    torch.testing.assert_close(torch.atan2(-away[:, 0, 7], away[:, 0, 8]), angle_rad)
    some = angle_rad != 0
    assert 0.2 < float(some.float().mean()) < 0.4
    late = angle_rad.abs() > FAR_RAD
    assert late.any() and (~late & some).any()
    gone = (told[..., 6] - torch.where(late[:, None], 0.0, 0.5)[:, :1]).sum(1)
    rest = torch.where(late, 0.5 * (8 - WAIT), 0.5 * 0)
    torch.testing.assert_close(gone - rest, -angle_rad / 0.4, atol=1e-4, rtol=1e-3)
    assert (told[late][:, :WAIT, 7] == 1).all() and (told[~late][:, 1, 7] == -1).all()


def test_a_hand_that_halts_near_its_goal_goes_there_and_grips() -> None:
    torch.manual_seed(0)
    count = 600
    state, goal = torch.randn(count, 3, 4), torch.randn(count, 4)
    actions, left = torch.randn(count, 9, 4), torch.arange(count) % 3
    actions[..., 3] = torch.tensor([1.0, -1, -1, -1, -1, -1, -1, -1, 1])
    halted, told = ASTRAY.stand(state, actions, goal, left)
    stands = (halted != state).flatten(1).any(1)
    assert not stands[left > 0].any()
    assert float(stands[left == 0].float().mean()) == pytest.approx(STANDING, abs=0.1)
    torch.testing.assert_close(told[~stands], actions[~stands])
    torch.testing.assert_close(halted[..., 3], state[..., 3])  # what it holds
    assert (halted[stands][:, 0, :3] == halted[stands][:, 2, :3]).all()
    off_m = halted[stands][:, -1, :3] - goal[stands, :3]
    for offset_m, chunk in zip(off_m, told[stands], strict=True):
        far = float(offset_m.norm())
        steps = 0
        while far * (1 - GOES) ** steps > THERE_M and steps < 8:
            steps += 1
        assert (chunk[1 : 1 + steps, 3] == 1).all()  # as it was told before, until it is there
        assert (chunk[1 + steps : 8, 3] == -1).all()
        gone_m = chunk[1 : 1 + steps, :3].sum(0) * 0.05
        expected = -offset_m * (1 - (1 - GOES) ** steps)
        torch.testing.assert_close(gone_m, expected, atol=1e-5, rtol=1e-4)
        assert (chunk[1 + steps : 1 + steps + WAIT, :3] == 0).all()  # it has arrived


def test_a_practised_hand_that_is_away_turns_with_its_way_back() -> None:
    torch.manual_seed(0)
    frames = shown()
    ahead = goal_rows(frames, 2)
    goals = Goals(frames.columns["observation.state"][ahead], ahead)
    rows = np.arange(10, 50).repeat(25)
    p = practise(frames, goals, rows, (3, 8), TURNING, lambda batch: batch, astray=ASTRAY)
    place = torch.from_numpy(frames.columns["observation.state"][rows])[:, :3]
    told = torch.from_numpy(frames.columns["action"][rows])
    # whichever way it was turned: where it will be when the first half of the way back is done
    lift_m = p.state[:, -1, 2] - place[:, 2]
    moved = (p.actions[:, 0, 2] - told[:, 2]) * 0.05
    away = (lift_m.abs() > 1e-6) & (torch.from_numpy(goals.rows[rows, 0] - rows) >= LATE)
    assert 0.2 < float(away.float().mean()) < 0.35
    torch.testing.assert_close(moved[away], -BACK[0] * lift_m[away], atol=1e-6, rtol=1e-3)
