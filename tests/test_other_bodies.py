"""The study of other bodies: video of others only, disjoint data, gains of pairs."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from robowm import recipes
from robowm.sim.seeds import DEMONSTRATION, take

TRIES = 10  # `record` takes at most so many seeds for an episode


@pytest.fixture(scope="module")
def study(benchmark: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark("other_bodies")


WORK = "work/PickPlaceCan"


def commands(study: ModuleType, arm: str, **changes: Any) -> list[list[str]]:
    args = study.Args(Path("work"), Path("out.json"), clips=Path("clips"), **changes)
    return [words for words, _ in study.commands(args, arm, 0, 0)]


def after(words: list[str], flag: str) -> str:
    return words[words.index(flag) + 1]


def recorded(study: ModuleType, arm: str, what: str = "--robot", **changes: Any) -> dict[str, str]:
    """The arm filmed, or what `what` says, by directory."""
    some = [words for words in commands(study, arm, **changes) if words[1] == "record"]
    return {after(words, "--out"): after(words, what) for words in some}


def test_video_is_of_arms_that_are_not_demonstrated(study: ModuleType) -> None:
    p = study.PROTOCOL
    suite = recipes.load("sim_eval/robosuite").SUITE
    assert {p.robot, *p.others} <= set(suite.task("PickPlaceCan").robots)
    others = recorded(study, "others")
    assert others.pop(f"{WORK}/demos_0") == p.robot
    assert sorted(others.values()) == sorted(p.others) and p.robot not in p.others
    assert recorded(study, "pretrained").keys() == {f"{WORK}/demos_0", *others}
    assert set(recorded(study, "same").values()) == {p.robot}
    assert set(recorded(study, "clips")) == set(recorded(study, "scratch")) == {f"{WORK}/demos_0"}


@pytest.mark.parametrize(("arm", "flag"), [("others", "--other-video"), ("same", "--video")])
def test_video_is_given_as_what_it_is(study: ModuleType, arm: str, flag: str) -> None:
    (words,) = (words for words in commands(study, arm) if words[1] == "finetune")
    given = words[words.index(flag) + 1 : words.index("--train.steps")]
    assert sorted([*given, f"{WORK}/demos_0"]) == sorted(recorded(study, arm))
    assert ("--other-video" in words) + ("--video" in words) == 1


def test_looks_vary_in_video_and_evaluation_but_not_in_demonstrations(study: ModuleType) -> None:
    suites = recorded(study, "others", "--suite", varied=True)
    assert suites.pop(f"{WORK}/demos_0") == "robosuite/PickPlaceCan"
    assert set(suites.values()) == {"robosuite/PickPlaceCan_varied"}
    assert not suites.keys() & recorded(study, "others").keys()
    scratch, others = (
        [commands(study, arm, varied=varied)[-2:] for varied in (False, True)]
        for arm in ("scratch", "others")
    )
    assert scratch[0][0] == scratch[1][0] and others[0][0] != others[1][0]  # how it is trained
    for (_, plain), (_, varied) in (scratch, others):
        assert after(plain, "--suite") == "robosuite/PickPlaceCan"
        assert after(varied, "--suite") == "robosuite/PickPlaceCan_varied"
        assert after(plain, "--out") != after(varied, "--out")


def test_what_is_chosen_by_is_not_what_figures_are_of(study: ModuleType) -> None:
    tuned, final = (commands(study, "others", tuning=tuning)[-1] for tuning in (True, False))
    begins = [int(after(words, "--seed")) for words in (tuned, final)]
    assert begins[1] + study.PROTOCOL.episodes <= begins[0] and after(tuned, "--out") != after(
        final, "--out"
    )


def test_all_video_is_labelled_by_one_labeller(study: ModuleType) -> None:
    labels = [words for words in commands(study, "pretrained") if words[1] == "label"]
    assert len(labels) == len(study.PROTOCOL.others)
    assert all(words[-1] == f"{labels[0][2]}/labels/model" for words in labels[1:])


def test_draws_and_video_are_other_episodes(study: ModuleType) -> None:
    p = study.PROTOCOL
    begins = [*((draw, p.demonstrations) for draw in p.draws), (p.video_seed, p.videos)]
    blocks = [set(take(DEMONSTRATION, first, TRIES * count)) for first, count in begins]
    assert not any(one & other for one, other in combinations(blocks, 2))


def test_a_gain_is_of_runs_of_one_draw(study: ModuleType) -> None:
    def run(arm: str, draw: int, successes: int) -> dict[str, object]:
        ends = ["success"] * successes + ["dropped"] * (4 - successes)
        return {"arm": arm, "draw": draw, "seed": draw, "stages": ends}

    bare = [run("scratch", 0, 0), run("scratch", 1, 2)]
    scratch, others = study.table([*bare, run("others", 0, 1), run("others", 1, 3)])
    assert scratch["percent"][0] == 25 and "points" not in scratch
    assert others["by_run"] == [25.0, 75.0] and others["points"][0] == pytest.approx(25)
    (alone,) = study.table([run("others", 7, 1)])
    assert "points" not in alone and alone["percent"] == [25.0, None, None]
