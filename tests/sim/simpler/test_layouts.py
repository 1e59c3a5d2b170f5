"""Layouts: SIMPLER's own are ManiSkill's; random ones are none of them."""

from itertools import combinations

import numpy as np
import pytest

from robowm.sim.seeds import DEMONSTRATION, VIDEO
from robowm.sim.simpler.layouts import AREAS, NUM_EVALUATED, Layout, at, official, random_layouts

SEEDS = (*DEMONSTRATION[:250], *VIDEO[:250])


def random_layout(task: str, seed: int, quarter: bool = False) -> Layout:
    return next(random_layouts(task, seed, quarter))


def numbers(layouts: list[Layout]) -> tuple[np.ndarray, np.ndarray]:
    """Positions (N, 4) of both objects from above and headings (N,)."""
    positions = [[*layout.source_m[:2], *layout.target_m[:2]] for layout in layouts]
    return np.array(positions), np.array([layout.heading_rad() for layout in layouts])


@pytest.mark.parametrize("task", AREAS)
def test_no_random_layout_is_an_evaluation_layout(task: str) -> None:
    area = AREAS[task]
    ours_m, our_headings = numbers([random_layout(task, seed) for seed in SEEDS])
    theirs_m, their_headings = numbers([*official(task)])
    apart_m = np.abs(ours_m[:, None] - theirs_m[None])
    pairs_m = np.linalg.norm(apart_m.reshape(len(SEEDS), -1, 2, 2), axis=-1).max(-1)
    turn = np.exp(1j * (our_headings[:, None] - their_headings[None]))
    same = (pairs_m < area.margin_m) & (np.abs(np.angle(turn)) < area.margin_rad)
    assert not same.any()
    assert area.margin_m >= 0.01 and area.margin_rad >= np.radians(15)
    # the margin is no accident of sparse drawing: around it there are layouts
    assert (pairs_m < 4 * area.margin_m).any()


@pytest.mark.parametrize("task", AREAS)
def test_evaluation_layouts_are_recognised(task: str) -> None:
    area, layouts = AREAS[task], official(task)
    assert len(layouts) == (64 if task == "eggplant" else NUM_EVALUATED)
    assert all(at(layout, layout, area) for layout in layouts)
    x, y, z = layouts[5].source_m
    moved = Layout((x + 0.9 * area.margin_m, y, z), layouts[5].target_m)
    here = Layout(layouts[5].source_m, layouts[5].target_m)
    assert at(moved, here, area)
    assert not at(Layout((x + 1.1 * area.margin_m, y, z), here.target_m), here, area)


@pytest.mark.parametrize("task", ["spoon", "carrot"])
def test_random_layouts_cover_the_evaluation(task: str) -> None:
    drawn_m, headings = numbers([random_layout(task, seed) for seed in SEEDS])
    theirs_m, _ = numbers([*official(task)])
    assert (drawn_m.min(0) < theirs_m.min(0)).all() and (drawn_m.max(0) > theirs_m.max(0)).all()
    counts, _ = np.histogram(headings, bins=8, range=(-np.pi, np.pi))
    assert counts.min() > len(SEEDS) / 16  # all the way round
    apart_m = np.linalg.norm(drawn_m[:, :2] - drawn_m[:, 2:], axis=1)
    assert apart_m.min() >= AREAS[task].apart_m


def test_a_seed_is_a_layout() -> None:
    for task in AREAS:
        layouts = [random_layout(task, seed) for seed in range(8)]
        assert layouts == [random_layout(task, seed) for seed in range(8)]
        assert all(one != other for one, other in combinations(layouts, 2))


def test_a_quarter_is_a_quarter() -> None:
    drawn_m, _ = numbers([random_layout("carrot", seed, quarter=True) for seed in range(100)])
    assert (drawn_m[:, 0] < -0.16).all() and (drawn_m[:, 1] < 0).all()
    assert drawn_m[:, 2].max() > -0.16 and drawn_m[:, 3].max() > 0


@pytest.mark.filterwarnings("ignore")  # ManiSkill's
@pytest.mark.parametrize("task", AREAS)
def test_official_layouts_are_maniskills(
    task: str, simpler_package: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mani_skill.envs.tasks.digital_twins.bridge_dataset_eval import base_env, put_on_in_scene

    said: dict[str, np.ndarray] = {}
    monkeypatch.setattr(base_env.BaseBridgeEnv, "__init__", lambda _, **told: said.update(told))
    name = {
        "spoon": "PutSpoonOnTableClothInScene",
        "carrot": "PutCarrotOnPlateInScene",
        "stack": "StackGreenCubeOnYellowCubeBakedTexInScene",
        "eggplant": "PutEggplantInBasketScene",
    }[task]
    getattr(put_on_in_scene, name)()
    turns = len(said["quat_configs"])
    layouts = official(task)
    assert len(layouts) == len(said["xyz_configs"]) * turns
    for number, layout in enumerate(layouts):
        places = said["xyz_configs"][number // turns]
        quaternions = said["quat_configs"][number % turns]
        np.testing.assert_allclose([layout.source_m, layout.target_m], places, atol=1e-6)
        ours = [layout.source_quaternion, layout.target_quaternion]
        np.testing.assert_allclose(ours, quaternions, atol=1e-6)
