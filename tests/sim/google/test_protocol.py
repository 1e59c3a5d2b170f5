"""The published trials: how many, which, in which order; without any simulator."""

import json
from collections import Counter

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from robowm.errors import UserError
from robowm.sim.google.protocol import RECOLOURS, Stand, Trial, build_arguments, trial_of
from robowm.sim.google.table import PROTOCOLS

PUBLISHED = {
    "pick_coke_can": 300,
    "move_near": 240,
    "open_drawer": 108,
    "close_drawer": 108,
    "place_apple_in_closed_top_drawer": 108,
}


def every(task: str) -> list[Trial]:
    return [trial_of(PROTOCOLS[task], seed) for seed in range(PROTOCOLS[task].trials)]


def words(trial: Trial) -> str:
    return repr((trial.recolour, trial.part, trial.stand, trial.objects))


@pytest.mark.parametrize("task", PROTOCOLS)
def test_seeds_go_through_every_trial_once_and_begin_again(task: str) -> None:
    trials = every(task)
    assert len({words(trial) for trial in trials}) == len(trials) == PROTOCOLS[task].trials
    assert [trial.number for trial in trials] == list(range(len(trials)))
    for parts in zip(*((t.recolour, t.part, t.stand, t.objects) for t in trials), strict=True):
        assert len(set(Counter(map(repr, parts)).values())) == 1  # each as often as any other
    assert {trial.recolour for trial in trials} == set(RECOLOURS)
    assert trial_of(PROTOCOLS[task], 3 * len(trials) + 7) == trials[7]


def test_as_many_trials_as_published() -> None:
    assert {task: PROTOCOLS[task].trials for task in PUBLISHED} == PUBLISHED
    steps = {task: PROTOCOLS[task].max_steps for task in PUBLISHED}
    assert list(steps.values()) == [80, 80, 113, 113, 200]


@pytest.mark.parametrize(
    ("task", "parts"),
    [
        ("pick_coke_can", ["pick_horizontal_coke_can", "pick_standing_coke_can", ...]),
        ("open_drawer", ["open_top_drawer", "open_middle_drawer", "open_bottom_drawer"]),
        ("close_drawer", ["close_top_drawer", "close_middle_drawer", "close_bottom_drawer"]),
    ],
)
def test_a_task_is_its_parts_and_no_more(task: str, parts: list[str]) -> None:
    parts = [part if isinstance(part, str) else "pick_vertical_coke_can" for part in parts]
    together = Counter(words(trial) for part in parts for trial in every(part))
    assert together == Counter(words(trial) for trial in every(task))
    texts = [PROTOCOLS[part].text for part in parts]
    assert len(set(texts)) == (1 if task == "pick_coke_can" else 3)


def test_the_order_is_the_documented_one() -> None:
    trials = every("pick_coke_can")
    places = [tuple(trial.objects["init_xy"]) for trial in trials]
    assert places[:2] == [(-0.35, -0.02), (-0.35, pytest.approx(0.09))]  # y first
    assert places[5] == (pytest.approx(-0.2925), -0.02) and places[24] == (-0.12, 0.42)
    assert [dict(trials[n].part.build) for n in (0, 25, 50, 75)] == [
        *({"lr_switch": True}, {"upright": True}, {"laid_vertically": True}),
        {"lr_switch": True},
    ]
    assert {trial.recolour for trial in trials[:75]} == {""}
    assert trials[75].recolour == "recolor_tabletop_visual_matching_1"
    drawers = every("open_drawer")
    assert [drawers[n].stand.overlay for n in (0, 8)] == [
        "open_drawer_a0.png",
        "open_drawer_c2.png",
    ]
    assert [drawers[n].part.text for n in (8, 9, 26)] == [
        *("open top drawer", "open middle drawer", "open bottom drawer"),
    ]
    assert [trial.objects["episode_id"] for trial in every("move_near")[:61]] == [*range(60), 0]


def test_grids_and_stands_are_as_published() -> None:
    cans = {tuple(trial.objects["init_xy"]) for trial in every("pick_coke_can")}
    assert len(cans) == 25 and {min(cans), max(cans)} == {(-0.35, -0.02), (-0.12, 0.42)}
    apples = np.array(
        [trial.objects["init_xy"] for trial in every("place_apple_in_closed_top_drawer")]
    )
    np.testing.assert_allclose(np.unique(apples[:, 0].round(9)), [-0.08, -0.05, -0.02])
    np.testing.assert_allclose(np.unique(apples[:, 1].round(9)), [-0.02, 0.03, 0.08])
    stands = {trial.stand for trial in every("place_apple_in_closed_top_drawer")}
    assert stands == {
        Stand(0.644, -0.179, -0.03, "open_drawer_a0.png"),
        Stand(0.652, 0.009, 0.0, "open_drawer_b0.png"),
        Stand(0.665, 0.224, 0.0, "open_drawer_c0.png"),
    }
    assert len({trial.stand for trial in every("close_drawer")}) == 9


def test_the_robot_is_turned_by_half_a_turn_and_the_yaw() -> None:
    (near,) = PROTOCOLS["move_near"].stands
    w, x, y, z = near.reset_options()["init_rot_quat"]
    turned = Rotation.from_quat([x, y, z, w])
    expected = Rotation.from_euler("z", -0.09) * Rotation.from_euler("z", np.pi)
    assert (turned * expected.inv()).magnitude() == pytest.approx(0, abs=1e-9)
    (can,) = PROTOCOLS["pick_coke_can"].stands
    assert can.reset_options() == {"init_xy": [0.35, 0.20], "init_rot_quat": [0, 0, 0, 1]}


def test_what_the_original_is_built_with() -> None:
    drawer, can = PROTOCOLS["open_top_drawer"], PROTOCOLS["pick_standing_coke_can"]
    built = build_arguments(drawer, trial_of(drawer, 10), "data")
    assert built["rgb_overlay_path"] == "data/real_inpainting/open_drawer_a1.png"
    assert built["urdf_version"] == "recolor_tabletop_visual_matching_1"
    assert built["shader_dir"] == "rt" and built["station_name"] == "mk_station_recolor"
    assert (built["control_freq"], built["sim_freq"], built["max_episode_steps"]) == (3, 513, 113)
    flat = build_arguments(drawer, trial_of(drawer, 10), "data", ray_traced=False)
    assert flat == {name: value for name, value in built.items() if name != "shader_dir"}
    trial = trial_of(can, 0)
    built = build_arguments(can, trial, "data")
    assert built["upright"] is True and "shader_dir" not in built
    for said in (built, trial.reset_options()):
        assert json.loads(json.dumps(said)) == said  # it goes through a pipe


@pytest.mark.parametrize("seed", [-1, 1_000_000, 2_000_000])
def test_only_seeds_for_evaluation_have_trials(seed: int) -> None:
    with pytest.raises(UserError, match=rf"seed {seed} is not for evaluation.*0 to 999999"):
        trial_of(PROTOCOLS["move_near"], seed)
