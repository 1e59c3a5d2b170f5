"""The ladder on SIMPLER: what it is trained, compared and evaluated on does not overlap."""

import dataclasses
import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from types import ModuleType

import pytest

from robowm.sim.seeds import DEMONSTRATION, EVALUATION, take

TRIES = 10  # `record` takes at most so many seeds for an episode


@pytest.fixture(scope="module")
def ladder(benchmark: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark("simpler_ladder")


def test_draws_video_held_out_and_tuning_are_disjoint(ladder: ModuleType) -> None:
    p = ladder.PROTOCOL
    begins = [*((draw, max(p.rungs)) for draw in p.draws), (p.wide_seed, p.wide)]
    begins.append((p.held_seed, p.held))
    blocks = [set(take(DEMONSTRATION, first, TRIES * count)) for first, count in begins]
    blocks.append(set(take(EVALUATION, p.tuning_seed, p.tuning_episodes)))
    for one, other in combinations(blocks, 2):
        assert not one & other


def test_the_table_is_of_shares_with_an_interval_over_runs(ladder: ModuleType) -> None:
    def run(seed: int, successes: int) -> dict[str, object]:
        ends = ["success"] * successes + ["dropped"] * (4 - successes)
        tasks = {task: {"stages": ends} for task in ladder.TASKS}
        tasks["eggplant"] = {"stages": ["success"] * 4}
        return {"arm": "scratch", "rung": 3, "draw": 0, "seed": seed} | tasks

    (row,) = ladder.table([run(0, 2), run(1, 2), run(2, 3)])
    assert row["table"]["by_run"] == [50.0, 50.0, 75.0]
    assert row["all"]["percent"][0] == pytest.approx(100 * (3 * 7 / 3 + 4) / 16)
    mean, low, high = row["table"]["percent"]
    assert mean == pytest.approx(58.333, rel=1e-4) and low == pytest.approx(2 * mean - high)
    # seeds alone: t of 2 degrees of freedom is 4.3027, the standard deviation 25 / sqrt(3); the
    # layouts' share widens the variance, and adds degrees of freedom
    assert 1.96 * 25 / 3 < high - mean < 4.3027 * 25
    assert row["eggplant"]["percent"] == (100.0, 100.0, 100.0)
    assert ladder.table([run(0, 0), run(1, 4)])[0]["table"]["percent"][1:] == (0.0, 100.0)
    assert ladder.table([run(0, 1)])[0]["all"]["percent"][1:] == (None, None)


def test_every_arm_is_evaluated_on_all_tasks(ladder: ModuleType, tmp_path: Path) -> None:
    for tuning, suffix in ((False, ""), (True, "_random")):
        args = ladder.Args(work=tmp_path, json=tmp_path / "x.json", tuning=tuning)
        for arm in ladder.ARMS:
            words = [command for command, _ in ladder.Run(args, 3, 0, 0, arm).commands()]
            suites = [w[w.index("--suite") + 1] for w in words if w[1] == "eval"]
            assert suites == [f"simpler/{task}{suffix}" for task in ladder.TASKS]
            policy = str(args.work / "policies" / f"{arm}_3_0_0")
            (trained,) = [w for w in words if w[-2:] == ["--out", policy]]
            assert ("--policy.no-use-state" in trained) == (arm == "vpt")
            assert (
                trained[trained.index("--seed" if "lerobot" in trained[1] else "--train.seed") + 1]
                == "0"
            )


def test_narrow_labels_and_wide_video_are_kept_apart_from_the_rest(
    ladder: ModuleType, tmp_path: Path
) -> None:
    args = ladder.Args(work=tmp_path, json=tmp_path / "x.json")
    narrow = dataclasses.replace(args, narrow=True)
    plain, some = (
        [words for words, _ in ladder.Run(one, 3, 0, 0, "seen").commands()]
        for one in (args, narrow)
    )
    suites = {word for words in some for word in words if word.startswith("simpler/")}
    for task in ladder.TASKS:
        expected = {f"simpler/{task}_{kind}" for kind in ("quarter", "varied", "shifted")}
        assert expected | {f"simpler/{task}"} == {s for s in suites if task in s}  # held out: plain
        words = next(w for w in some if f"simpler/{task}_quarter" in w)
        assert words[words.index("--episodes") + 1] == "3"
    made = [{w[w.index("--out") + 1] for w in each if "--out" in w} for each in (plain, some)]
    assert all("held" in path for path in made[0] & made[1])
    tuned = dataclasses.replace(narrow, tuning=True)
    published = dataclasses.replace(narrow, published=True)
    variants = [ladder.variant(one) for one in (args, narrow, tuned, published)]
    assert variants == ["", "_shifted", "_varied", ""]
    assert len({ladder.layouts(one) for one in (args, narrow, tuned, published)}) == 4


def test_lapa_has_labels_and_a_world_model_of_its_own(ladder: ModuleType, tmp_path: Path) -> None:
    args = ladder.Args(work=tmp_path, json=tmp_path / "x.json")
    ours, lapa = ([*ladder.Run(args, 3, 0, 0, arm).commands()] for arm in ("pretrained", "lapa"))
    trains = ("label", "pretrain", "finetune")
    for words, made in lapa:
        if words[1] in trains and "--labeller" not in words:
            assert words[words.index("--recipe") + 1] == "baselines/lapa"
        if words[1] in trains[:2]:
            flag = {"label": "--name", "pretrain": "--labels"}[words[1]]
            assert words[words.index(flag) + 1] == "lapa"
            assert made not in [other for _, other in ours]
    (words,) = [words for words, _ in lapa if words[1] == "finetune"]
    assert words[2] == str(tmp_path / "lapa_world_0")


def test_gains_are_of_matched_runs_and_average_the_rungs(ladder: ModuleType) -> None:
    def run(arm: str, rung: int, seed: int, successes: int) -> dict[str, object]:
        ends = ["success"] * successes + ["dropped"] * (4 - successes)
        tasks = {task: {"stages": ends} for task in ladder.TASKS}
        return {"arm": arm, "rung": rung, "draw": 0, "seed": seed} | tasks

    runs = [run("scratch", rung, seed, seed) for rung in (1, 3) for seed in range(3)]
    runs += [run("seen", 1, seed, seed + 1) for seed in range(3)]  # +25 points in every run
    runs += [run("seen", 3, seed, 2 * seed) for seed in range(3)]  # +0, +25, +50
    found = ladder.gains(runs, ("scratch", "seen"))
    assert [row["rungs"] for row in found] == [[1], [3], [1, 3]]
    assert [row["all"]["points"][0] for row in found] == [25.0, 25.0, 25.0]
    wide = [row["all"]["points"][2] - row["all"]["points"][1] for row in found]
    # rung 1 gains alike in every run: only the layouts widen its interval, though runs differ
    assert wide[0] < wide[2] < wide[1]
    assert ladder.gains(runs, ("seen",)) == []
    both = found[-1]
    found = ladder.gains(runs[:-1], ("scratch", "seen"))  # the last has no fellow: no average
    assert [(row["rungs"], row["runs"]) for row in found] == [([1], 3), ([3], 2)]
    found = ladder.gains([*runs[:3], *reversed(runs[3:])], ("scratch", "seen"))
    assert found[-1]["all"]["points"] == pytest.approx(both["all"]["points"])  # in any order
    others = [run | {"draw": 1} if run["rung"] == 3 else run for run in runs]
    found = ladder.gains(others, ("scratch", "seen"))  # as many runs, but of another draw
    assert [(row["rungs"], row["runs"]) for row in found] == [([1], 3), ([3], 3)]


def test_the_share_of_the_ceilings_gain(ladder: ModuleType) -> None:
    def run(arm: str, seed: int, successes: int) -> dict[str, object]:
        ends = ["success"] * successes + ["dropped"] * (20 - successes)
        tasks = {task: {"stages": ends} for task in ladder.TASKS}
        return {"arm": arm, "rung": 1, "draw": 0, "seed": seed} | tasks

    won = {"scratch": (4, 4, 4), "seen": (10, 11, 12), "ceiling": (14, 14, 14)}
    runs = [run(arm, seed, n) for arm, each in won.items() for seed, n in enumerate(each)]
    (row,) = ladder.recovered(runs)
    share, low, high = row["all"]["share"]
    assert (row["arm"], row["runs"]) == ("seen", 3) and share == pytest.approx(0.7)
    assert 0.3 < low < 0.6 and 0.8 < high < 1.1
    exact = [run(arm, seed, 12) for arm in ("seen", "ceiling") for seed in range(3)]
    assert ladder.recovered([*runs[:3], *exact])[0]["all"]["share"] == pytest.approx(
        (1, 1, 1), abs=1e-3
    )
    worse = [run("seen", seed, 4 - seed) for seed in range(3)]
    assert ladder.recovered([*runs[:3], *worse, *runs[6:]])[0]["all"]["share"][2] < 0.2
    assert ladder.recovered([*runs[:3], *runs[3:6]]) == []  # no ceiling
    (row,) = ladder.recovered([runs[0], runs[3], runs[6]])
    assert row["all"]["share"] == pytest.approx((0.6, None, None))
    (row,) = ladder.recovered([*runs[:6], *(run("ceiling", seed, 4) for seed in range(3))])
    assert row["all"]["share"] == (None, None, None)  # nothing was to be gained


def test_runs_of_another_machine_are_kept(ladder: ModuleType, tmp_path: Path) -> None:
    args = ladder.Args(tmp_path, tmp_path / "x.json", rungs=(3,), draws=(0,), seeds=(0,))
    runs = [ladder.Run(args, 3, 0, 0, arm).key | {"commit": "abc"} for arm in args.arms]
    for run in runs:
        run |= {task: {"stages": ["success"] * 4} for task in ladder.TASKS}
    paths = tmp_path / "one.json", tmp_path / "other.json"
    for path, some in zip(paths, (runs[1:], runs[:2]), strict=True):  # one is in both
        ladder.write(dataclasses.replace(args, json=path), some)
    args = dataclasses.replace(args, keep=paths)
    assert ladder.kept(args) == runs
    ladder.main(args)  # nothing is left to do
    written = json.loads(args.json.read_text())
    assert written["runs"] == runs and str(tmp_path) not in written["command"]
    with pytest.raises(SystemExit, match="another protocol"):
        ladder.kept(dataclasses.replace(args, tuning=True))


def test_a_draw_has_its_own_training_seed(ladder: ModuleType, tmp_path: Path) -> None:
    args = ladder.Args(work=tmp_path, json=tmp_path / "x.json")
    assert ladder.pairs(args) == list(zip(args.draws, args.seeds, strict=True))
    one = ladder.Args(work=tmp_path, json=tmp_path / "x.json", draws=(0,))
    assert ladder.pairs(one) == [(0, 0), (0, 1), (0, 2)]
    with pytest.raises(SystemExit, match="as many of one as of the other"):
        ladder.pairs(ladder.Args(work=tmp_path, json=tmp_path / "x.json", seeds=(0,)))


def settled(value: str) -> object:
    """A flag's value as its config holds it."""
    try:
        found = json.loads(value)
    except ValueError:
        return value
    return tuple(found) if isinstance(found, list) else found


def test_settings_are_of_lerobots_own_configs(benchmark: Callable[[str], ModuleType]) -> None:
    from lerobot.policies.act.configuration_act import ACTConfig
    from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
    from lerobot.policies.vqbet.configuration_vqbet import VQBeTConfig

    arm = benchmark("lerobot_arm")
    configs = {"act": ACTConfig, "diffusion": DiffusionConfig, "vqbet": VQBeTConfig}
    assert set(arm.SETTINGS) == set(configs)
    for name, config in configs.items():
        fields = {field.name: field for field in dataclasses.fields(config)}
        for word in (*arm.SETTINGS[name], *arm.SHARED):
            flag, value = word.split("=")
            if flag.startswith("--policy."):
                changed = fields[flag.removeprefix("--policy.")]  # it has such a setting
                assert changed.default != settled(value)  # and not this value by itself


def test_lerobot_trains_as_long_as_ours(ladder: ModuleType, tmp_path: Path) -> None:
    args = ladder.Args(work=tmp_path, json=tmp_path / "x.json")
    for rung, steps in ((3, ladder.PROTOCOL.few_steps), (25, ladder.PROTOCOL.finetune_steps)):
        words = [w for w, _ in ladder.Run(args, rung, 0, 0, "act").commands()]
        (trained,) = [w for w in words if "--seconds" in w]
        assert float(trained[trained.index("--seconds") + 1]) == steps * ladder.PROTOCOL.step_s
        ours = [w for w, _ in ladder.Run(args, rung, 0, 0, "scratch").commands()]
        (trained,) = [w for w in ours if w[1] == "finetune"]
        assert trained[trained.index("--train.steps") + 1] == str(steps)
