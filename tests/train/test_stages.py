"""label, pretrain, finetune on moving squares: they learn, and write what lerobot reads."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset

from robowm import recipes
from robowm.artefact import directory_sha256, read_card
from robowm.batch import Observation
from robowm.episodes import Episodes
from robowm.errors import UserError
from robowm.policy.control_map import ControlMap
from robowm.policy.lerobot_controller import load_controller
from robowm.train.action_view import as_action
from robowm.train.control import fit_control_map
from robowm.train.demonstrations import read_stats
from robowm.train.finetune import finetune
from robowm.train.frames import held_out, load_frames
from robowm.train.goals import goal_rows
from robowm.train.label import label
from robowm.train.pretrain import pretrain
from robowm.train.recipe import Recipe

pytestmark = pytest.mark.slow

TINY: Recipe = recipes.load("policies/vipra").tiny()
LONGER = replace(TINY.label, train=replace(TINY.label.train, steps=100, batch_size=16))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, make_dataset: Callable[..., Path]) -> Path:
    root = make_dataset(tmp_path_factory.mktemp("video") / "ds", episodes=12, length=12)
    label(root, LONGER)
    return root


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory, make_dataset: Callable[..., Path]) -> Path:
    return make_dataset(tmp_path_factory.mktemp("demos") / "ds", actions=True)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, video: Path) -> Path:
    out = tmp_path_factory.mktemp("world") / "model"
    pretrain([video], out, TINY.pretrain)
    return out


def test_labels_say_what_moved(video: Path) -> None:
    report = json.loads((video / "labels" / "report.json").read_text())["reality"]
    assert report["flow_cosine"] > report["flow_cosine_other"] + 0.2
    assert report["perplexity"] > 2


def test_labels_are_columns_that_lerobot_reads(video: Path) -> None:
    stock = LeRobotDataset("local/ds", root=video, video_backend="pyav")
    assert stock[0]["latent_action"].shape == (4 * 8,)
    episodes = Episodes(video)
    for i in range(len(episodes)):
        valid = episodes.column("latent_action_valid", i)
        codes = episodes.column("latent_action_index", i)
        assert not valid[-1] and (codes[~valid] == -1).all()
        assert valid[:-1].any() and (codes[valid] >= 0).all()
    info = episodes.features["latent_action"]["info"]
    assert info["sha256"] and info["fps"] == 10


def test_labelling_again_changes_nothing(video: Path) -> None:
    before = Episodes(video).column("latent_action", 0)
    assert label(video, LONGER).valid > 0
    np.testing.assert_array_equal(Episodes(video).column("latent_action", 0), before)
    with pytest.raises(UserError, match="already holds labels 'default', made with other settings"):
        label(video, TINY.label)


def test_a_trained_labeller_labels_other_data_alike(
    video: Path, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    other = make_dataset(tmp_path / "other", episodes=12, length=12)
    label(other, TINY.label, model=str(video / "labels" / "model"))
    for i in range(3):
        np.testing.assert_array_equal(
            Episodes(other).column("latent_action_index", i),
            Episodes(video).column("latent_action_index", i),
        )
    pretrain([video, other], tmp_path / "world", TINY.pretrain)
    assert (tmp_path / "world" / "model.safetensors").is_file()


def test_a_labeller_is_of_one_frame_rate(
    video: Path, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    trained = str(video / "labels" / "model")
    fast = make_dataset(tmp_path / "fast", episodes=1, fps=30)
    with pytest.raises(UserError, match=r"has 30 frames a second; the labeller expects 10\. "):
        label(fast, TINY.label, model=trained)
    assert "latent_action" not in Episodes(fast).features
    for stride_s in (0.0, -0.1):
        timeless = replace(TINY.label, model=replace(TINY.label.model, stride_s=stride_s))
        with pytest.raises(UserError, match=r"stride-s -?0\..: expected seconds, more than 0"):
            label(fast, timeless)
    near = make_dataset(tmp_path / "near", episodes=1, fps=15)
    assert label(near, TINY.label, model=trained).valid > 0
    before = json.loads((video / "labels" / "model" / "config.json").read_text())
    assert before.pop("stride_s") == 0.1
    older = tmp_path / "older"  # of before the rate was written down: taken as it is
    shutil.copytree(video / "labels" / "model", older)
    (older / "config.json").write_text(json.dumps(before))
    assert label(fast, TINY.label, model=str(older)).valid > 0


def test_labels_of_two_labellers_are_not_mixed(
    video: Path, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    other = make_dataset(tmp_path / "other")
    label(other, TINY.label)
    with pytest.raises(UserError, match="labelled by another model"):
        pretrain([video, other], tmp_path / "world", TINY.pretrain)
    assert not (tmp_path / "world").exists()


def test_a_world_model_is_a_plain_directory(world: Path) -> None:
    names = {p.name for p in world.iterdir()}
    assert {"config.json", "model.safetensors", "curves.json", "gallery.json"} <= names
    assert not any("checkpoint" in name or name == "frames" for name in names)


@pytest.mark.parametrize(
    ("source", "head"),
    [("scratch", "auto"), ("scratch", "goals"), ("world", "goals"), ("world", "flow")],
)
def test_a_policy_comes_out_that_acts(
    source: str,
    head: Literal["auto", "goals", "flow"],
    request: pytest.FixtureRequest,
    demos: Path,
    tmp_path: Path,
) -> None:
    model = "scratch" if source == "scratch" else str(request.getfixturevalue("world"))
    policy = replace(TINY.finetune.policy, action_head=head)
    result = finetune(model, demos, tmp_path / "policy", replace(TINY.finetune, policy=policy))
    written = json.loads((tmp_path / "policy" / "config.json").read_text())
    assert written["action_head"] == ("goals" if head == "goals" else "flow")
    assert (written["n_obs_steps"], written["context_frames"]) == (3, 2)
    card = read_card(tmp_path / "policy")
    assert card is not None and card["dataset_sha256"] == [directory_sha256(demos)]
    assert (result.pretrained_tensors > 0) == (source == "world")
    controller = load_controller(tmp_path / "policy")
    assert controller.action_dim == 2
    observation = Observation(np.full((48, 48, 3), 90, np.uint8), np.zeros(2, np.float32))

    def act(slots: list[int]) -> np.ndarray:
        for slot in slots:
            controller.reset(slot, seed=slot)
        return np.stack([controller.act(slots, [observation] * len(slots)) for _ in range(5)])

    together, alone = act([3, 4]), act([4])
    assert np.isfinite(together).all() and together.shape == (5, 2, 2)
    np.testing.assert_allclose(together[:, 1], alone[:, 0], atol=1e-4)


def test_several_datasets_count_as_one(
    demos: Path, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    more = make_dataset(tmp_path / "more", actions=True, episodes=3)
    finetune("scratch", [demos, more], tmp_path / "policy", TINY.finetune)
    one, both = read_stats([Episodes(demos)]), read_stats([Episodes(demos), Episodes(more)])
    assert set(one) == set(both) == {"action", "observation.state"}
    everything = np.concatenate(
        [
            Episodes(root).column("action", i)
            for root in (demos, more)
            for i in range(len(Episodes(root)))
        ]
    )
    np.testing.assert_allclose(both["action"]["mean"], everything.mean(0), atol=1e-4)
    np.testing.assert_allclose(both["action"]["std"], everything.std(0), atol=1e-4)


def test_a_share_that_is_none_is_refused(demos: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--from-start 1\.5: expected a share from 0 to 1"):
        finetune("scratch", demos, tmp_path / "p", replace(TINY.finetune, from_start=1.5))
    assert not (tmp_path / "p").exists()


def test_demonstrations_of_another_robot_are_refused(
    demos: Path, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    other = make_dataset(tmp_path / "other", actions=True)
    info = json.loads((other / "meta" / "info.json").read_text())
    info["features"]["action"]["names"] = ["left", "right"]
    (other / "meta" / "info.json").write_text(json.dumps(info))
    with pytest.raises(
        UserError, match=r"differ in action: .* expected demonstrations of one robot"
    ):
        finetune("scratch", [demos, other], tmp_path / "policy", TINY.finetune)
    assert not (tmp_path / "policy").exists()


def test_demonstrations_at_another_rate_are_refused(
    demos: Path, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    other = make_dataset(tmp_path / "other", actions=True)
    info = json.loads((other / "meta" / "info.json").read_text())
    (other / "meta" / "info.json").write_text(json.dumps(info | {"fps": 20}))
    with pytest.raises(UserError, match=r"differ in frames a second: 10.* and 20.*recorded alike"):
        finetune("scratch", [demos, other], tmp_path / "policy", TINY.finetune)
    assert not (tmp_path / "policy").exists()


def test_subgoals_lie_ahead_in_the_same_episode(demos: Path, tmp_path: Path) -> None:
    frames = load_frames([Episodes(demos)], 32, ["action"], tmp_path)
    rows = goal_rows(frames, 2)
    assert rows.shape == (len(frames.start), 2)
    assert (rows >= np.arange(len(rows))[:, None]).all() and (rows < frames.end[:, None]).all()
    assert (rows[:, 1] >= rows[:, 0]).all()


def test_labelled_demonstrations_bring_the_map_to_controls(
    video: Path, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    demos = make_dataset(tmp_path / "demos", episodes=12, length=12, actions=True)
    assert fit_control_map([Episodes(demos)]) is None
    finetune("scratch", demos, tmp_path / "before", TINY.finetune)
    label(demos, TINY.label, model=str(video / "labels" / "model"))
    with pytest.raises(UserError, match="before"):  # it has no map: not to be taken for done
        finetune("scratch", demos, tmp_path / "before", TINY.finetune)
    finetune("scratch", demos, tmp_path / "policy", TINY.finetune)
    controls = ControlMap.load(tmp_path / "policy")
    assert controls.embodiment == "square" and set(controls.axes) == {"dx_px", "dy_px"}
    assert all(error["r2"] > 0.5 for error in controls.held_out().values()), controls.held_out()
    assert load_controller(tmp_path / "policy").decoder is None  # it emits controls itself

    blind = replace(TINY.finetune, policy=replace(TINY.finetune.policy, use_state=False))
    as_action(demos, tmp_path / "latents")
    decoded = replace(blind, decoder=tmp_path / "policy")
    finetune("scratch", tmp_path / "latents", tmp_path / "emits", decoded)
    controller = load_controller(tmp_path / "emits")
    assert controller.action_dim == 2
    observation = Observation(np.full((48, 48, 3), 90, np.uint8), np.zeros(2, np.float32))
    controller.reset(0, seed=0)
    asked = np.stack([controller.act([0], [observation])[0] for _ in range(2)])
    decoder, controller.decoder = controller.decoder, None
    controller.reset(0, seed=0)
    emitted = np.stack([controller.act([0], [observation])[0] for _ in range(2)])
    assert decoder is not None and emitted.shape == (2, decoder.latent_dim)
    # the whole chunk is decoded, of which two are executed: the first knows its neighbour
    np.testing.assert_allclose(asked[0], decoder.decode(emitted)[0][0], atol=1e-5)
    with pytest.raises(UserError, match="are not the latent actions that the map"):
        finetune("scratch", demos, tmp_path / "no", decoded)

    as_action(demos, tmp_path / "pseudo", controls=tmp_path / "policy")
    with pytest.raises(UserError, match="are not the latent actions that the map"):
        finetune("scratch", tmp_path / "pseudo", tmp_path / "no", decoded)
    finetune("scratch", [tmp_path / "pseudo", demos], tmp_path / "vpt", blind)
    assert load_controller(tmp_path / "vpt").action_dim == 2


def test_pretrained_weights_are_where_the_policy_starts(world: Path, demos: Path) -> None:
    from robowm.train.build_policy import build_policy, carry_over, read_world_model
    from robowm.train.pretrain import KIND  # noqa: F401

    shape = read_world_model(world).backbone
    policy = build_policy(Episodes(demos), replace(TINY.finetune.policy, backbone=shape))
    before = policy.decoder.backbone.where.clone()
    assert carry_over(world, policy) == len(policy.decoder.backbone.state_dict())
    assert not np.allclose(before.detach(), policy.decoder.backbone.where.detach())


def test_demonstrations_without_actions_are_refused(video: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no actions; expected a column 'action'"):
        finetune("scratch", video, tmp_path / "p", TINY.finetune)
    assert list(tmp_path.iterdir()) == []


def test_actions_that_are_not_finite_are_refused(
    tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    root = make_dataset(tmp_path / "bad", actions=True, bad_action=True)
    with pytest.raises(UserError, match="action of episode 4, frame 3 is not finite"):
        finetune("scratch", root, tmp_path / "p", TINY.finetune)
    assert [p.name for p in tmp_path.iterdir()] == ["bad"]


def test_unlabelled_video_is_refused(tmp_path: Path, make_dataset: Callable[..., Path]) -> None:
    root = make_dataset(tmp_path / "raw", episodes=1)
    with pytest.raises(UserError, match="has no latent actions; expected the columns that `robowm"):
        pretrain([root], tmp_path / "world", TINY.pretrain)
    with pytest.raises(UserError, match="32x32 pixels; the labeller expects 128x128"):
        label(root, recipes.load("policies/vipra").small().label)


def test_something_else_is_not_a_world_model(demos: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not a model: no readable config\.json"):
        finetune(str(demos), demos, tmp_path / "p", TINY.finetune)
    with pytest.raises(UserError, match=r"no directory \./nowhere"):
        finetune("./nowhere", demos, tmp_path / "p", TINY.finetune)


def test_held_out_episodes_are_few_and_fixed() -> None:
    chosen = held_out(100, 0.1, seed=3)
    assert chosen.sum() == 10
    np.testing.assert_array_equal(chosen, held_out(100, 0.1, seed=3))
    assert held_out(3, 0.1, seed=0).sum() == 0 and held_out(4, 0.1, seed=0).sum() == 1
