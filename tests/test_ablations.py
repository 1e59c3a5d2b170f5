"""The ablations' table: every command is one that robowm takes, and its data do not overlap."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import tyro

from robowm import recipes
from robowm.cli import finetune, pretrain
from robowm.sim.seeds import DEMONSTRATION, take

TRIES = 10  # `record` takes at most so many seeds for an episode


@pytest.fixture(scope="module")
def ablations(benchmark: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark("ablations")


def parsed(words: list[str]) -> Any:
    """The configuration that a command of `robowm pretrain` or `finetune` asks for."""
    verb = {"pretrain": pretrain, "finetune": finetune}[words[1]]
    return tyro.cli(verb.Args, args=words[2:], default=verb.defaults("quickstart")).config


def configs(ablations: ModuleType, name: str, head: str) -> dict[str, Any]:
    args = ablations.Args(Path("work"), Path("out.json"))
    steps = ablations.commands(args, name, head, 0, Path("work/eval/run.json"))
    return {words[1]: parsed(words) for words, _ in steps if words[1] in ("pretrain", "finetune")}


def test_each_row_is_the_full_model_but_for_what_it_says(ablations: ModuleType) -> None:
    full = configs(ablations, "full", "FM")
    model, policy = full["pretrain"].model, full["finetune"].policy
    assert (model.predict_future, model.predict_latents, policy.action_head) == (True, True, "flow")
    changes = {
        "LAPA": ({"predict_future": False, "latent_steps": 1}, {"chunk_size": 1}),
        "-AC": ({"latent_steps": 1}, {"chunk_size": 1}),
        "-SP2": ({"predict_future": False}, {}),
        "-LA": ({"predict_latents": False}, {}),
        "+SP3": ({"predict_future": False}, {"keep_future": True}),
        "causal": ({}, {"causal_actions": True}),
        "on latents": ({}, {"latents": "codes"}),
        "continuous": ({"continuous": True}, {"latents": "continuous"}),
        "no state": ({}, {"use_state": False}),
    }
    assert {"scratch", "full", *changes} == set(ablations.ROWS)
    for name, (taught, tuned) in changes.items():
        row = configs(ablations, name, "FM")
        assert row["pretrain"].model == replace(model, **taught), name
        executed = {"n_action_steps": 1} if "chunk_size" in tuned else {}
        assert row["finetune"].policy == replace(policy, **tuned, **executed), name
        assert row["finetune"].train == full["finetune"].train


def test_rows_of_the_paper_are_the_recipes(ablations: ModuleType) -> None:
    quickstart = recipes.load("policies/vipra").quickstart()
    named = recipes.load("policies/ablations").RECIPES
    for name, recipe in (
        ("-AC", "no_chunking"),
        ("-SP2", "no_future"),
        ("-LA", "no_latents"),
        ("+SP3", "future_kept"),
    ):
        row, wanted = configs(ablations, name, "FM"), named[recipe](quickstart)
        assert row["pretrain"].model == wanted.pretrain.model, name
        policy = replace(row["finetune"].policy, action_head="auto")
        assert policy == wanted.finetune.policy, name


def test_from_scratch_nothing_is_pretrained(ablations: ModuleType) -> None:
    found = configs(ablations, "scratch", "AR")
    assert set(found) == {"finetune"}
    assert found["finetune"].policy.action_head == "autoregressive"


def test_video_and_demonstrations_are_other_episodes(ablations: ModuleType) -> None:
    p = ablations.PROTOCOL
    video, demos = (
        set(take(DEMONSTRATION, first, TRIES * count))
        for first, count in (
            (p.video_seed, p.videos),
            (p.demonstration_seed, p.demonstrations),
        )
    )
    assert not video & demos
