"""ViPRA's ablations, and what others found better, on one robosuite task: the paper's table.

    python benchmarks/ablations.py --work DIR --json benchmarks/results/ablations.json

ROWS below says of each what pretraining is taught and what fine-tuning is; all of them with either
head, flow matching (FM) and actions as words (AR), the same budget, the same demonstrations and the
same evaluation seeds. Expert episodes are the video: their actions are not read. Every step is a
command of robowm with its output in DIR; run again after a kill it goes on. `--dry` prints what
would be run. A run (world model, policy, 50 episodes) takes some five minutes of a core with bf16,
fifteen of one without; all of them 60 runs.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import tyro
from _outcomes import ends, percent, spread
from _steps import go_through, labelled, recorded
from _versions import made_with

from robowm.artefact import plain, write_json
from robowm.metrics.hierarchical import over_runs


@dataclass(frozen=True)
class Protocol:
    """What is chosen before the runs.

    Attributes:
        suite: the task.
        recipe: sizes and steps of every stage.
        size_px: of frames.
        videos, video_seed: expert episodes whose actions are thrown away, and their first seed.
        demonstrations, demonstration_seed: and those with actions.
        episodes: of each evaluation, on the suite's evaluation seeds.
    """

    suite: str = "robosuite/Lift"
    recipe: str = "quickstart"
    size_px: int = 64
    videos: int = 60
    video_seed: int = 100_000
    demonstrations: int = 10
    demonstration_seed: int = 0
    episodes: int = 50


PROTOCOL = Protocol()
HEADS = {"FM": "flow", "AR": "autoregressive"}


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        pretrained, tuned: what is learnt, in words.
        pretrain: flags of `robowm pretrain`; None: from scratch.
        finetune: flags of `robowm finetune`.
    """

    pretrained: str
    tuned: str
    pretrain: tuple[str, ...] | None = ()
    finetune: tuple[str, ...] = ()


ONE = ("--policy.chunk-size", "1", "--policy.n-action-steps", "1")
BOTH = "future frame and latent chunk"
ROWS = {
    "scratch": Row("nothing", "action chunk", None),
    "LAPA": Row(
        "one latent action",
        "one action",
        ("--model.no-predict-future", "--model.latent-steps", "1"),
        ONE,
    ),
    "full": Row(BOTH, "action chunk"),
    "-AC": Row(
        "future frame and one latent action", "one action", ("--model.latent-steps", "1"), ONE
    ),
    "-SP2": Row("latent chunk", "action chunk", ("--model.no-predict-future",)),
    "-LA": Row("future frame", "action chunk", ("--model.no-predict-latents",)),
    "+SP3": Row(
        "latent chunk",
        "future frame and action chunk",
        ("--model.no-predict-future",),
        ("--policy.keep-future",),
    ),
    "causal": Row(BOTH, "action chunk, each seeing those before", (), ("--policy.causal-actions",)),
    "on latents": Row(BOTH, "latent chunk, then action chunk", (), ("--policy.latents", "codes")),
    "continuous": Row(
        "future frame and latent chunk as it is",
        "latent chunk as it is, then action chunk",
        ("--model.continuous",),
        ("--policy.latents", "continuous"),
    ),
    "no state": Row(BOTH, "action chunk, without proprioception", (), ("--policy.no-use-state",)),
}


@dataclass(frozen=True)
class Args:
    """Flags."""

    work: Path
    """scratch directory: datasets, models, results"""
    json: Path
    """result"""
    rows: tuple[str, ...] = tuple(ROWS)
    """which of ROWS"""
    heads: tuple[str, ...] = tuple(HEADS)
    """which of HEADS"""
    seeds: tuple[int, ...] = (0, 1, 2)
    """of training"""
    dry: bool = False
    """print the commands only"""


def main(args: Args) -> None:
    """Run what is missing, then write the table."""
    runs: list[dict[str, Any]] = []
    printed = set[Path]()
    for seed, head, name in product(args.seeds, args.heads, args.rows):
        if name == "causal" and head == "AR":
            continue  # words are causal anyway
        result = args.work / "eval" / f"{stem(name)}_{head}_{seed}.json"
        go_through(commands(args, name, head, seed, result), args.dry, printed)
        if not args.dry:
            runs.append({"row": name, "head": head, "seed": seed, "stages": ends(result)})
            write(args, runs)


def commands(
    args: Args, name: str, head: str, seed: int, result: Path
) -> Iterator[tuple[list[str], Path]]:
    """What leads to a run's result, each with the file that is there when it is done."""
    p, row, work = PROTOCOL, ROWS[name], args.work
    video, demos = work / "video", work / "demos"
    size = ("--size-px", str(p.size_px))
    yield recorded(p.suite, video, p.videos, p.video_seed, *size)
    yield recorded(p.suite, demos, p.demonstrations, p.demonstration_seed, *size)
    yield from labelled([video, demos], p.recipe)
    model = "scratch"
    if row.pretrain is not None:
        world = work / "worlds" / f"{'_'.join(row.pretrain).replace('--', '') or 'full'}_{seed}"
        words = ["robowm", "pretrain", str(video), "--recipe", p.recipe, *row.pretrain]
        yield [*words, "--train.seed", str(seed), "--out", str(world)], world / "model.safetensors"
        model = str(world)
    policy = work / "policies" / result.stem
    words = ["robowm", "finetune", model, str(demos), "--recipe", p.recipe, *row.finetune]
    words += ["--policy.action-head", HEADS[head], "--train.seed", str(seed)]
    yield [*words, "--out", str(policy)], policy / "model.safetensors"
    words = ["robowm", "eval", str(policy), "--suite", p.suite, "--episodes", str(p.episodes)]
    words += ["--baseline-episodes", "0", "--videos", "0", "--out", str(result)]
    yield words, result


def write(args: Args, runs: list[dict[str, Any]]) -> None:
    """The runs so far, and the table."""
    write_json(
        args.json,
        {
            "command": "python benchmarks/ablations.py --work DIR --json FILE",
            "protocol": plain(asdict(PROTOCOL)),
            "rows": {name: plain(asdict(ROWS[name])) for name in args.rows},
            "runs": runs,
            "table": table(runs),
            **made_with("robowm", "torch", "lerobot", "robosuite", "mujoco"),
        },
    )


def table(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By row and head: percent of successes of each seed, their mean, and its 95 % interval over
    seeds and episodes (None with one seed)."""
    lines = []
    for name, head in dict.fromkeys((run["row"], run["head"]) for run in runs):
        some = [run["stages"] for run in runs if (run["row"], run["head"]) == (name, head)]
        outcomes = percent(some)
        line = {"row": name, "head": head, "percent": spread(over_runs([outcomes]))}
        lines.append(line | {"by_seed": outcomes.mean(1).tolist()})
    return lines


def stem(name: str) -> str:
    """A row's name in a file's."""
    return name.replace("-", "no_").replace("+", "with_").replace(" ", "_")


if __name__ == "__main__":
    main(tyro.cli(Args))
