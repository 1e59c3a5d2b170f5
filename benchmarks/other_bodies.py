"""Is video of other bodies worth anything? Few demonstrations of one arm, video of others only.

    python benchmarks/other_bodies.py --work DIR --json benchmarks/results/other_bodies.json \
        --clips ../shared/corpus/clips

On robosuite's can, which must be found and is carried off: a policy for the Panda from three
demonstrations, from scratch; with action-free video of four other arms at the same task, by the
gaps that it leaves (`finetune --other-video`), and from a world model pretrained on it; with as
much video of the Panda itself (what the same body would be worth); and with `--clips` from a world
model of a folder of real clips of robots and hands. `--task` asks it of another task; `--varied`
where demonstrations are of one room and video and evaluation of many: in every episode other light,
other colours and patterns of all but arm and things. Every draw of demonstrations has its training
seed. Every step is a command of robowm with its output in DIR; run again after a kill it goes on.
`--tuning` plays other seeds, to choose by. `--dry` prints what would be run. A run takes 40 minutes
of a core without bf16.
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
        robot: what is demonstrated and evaluated.
        others: whose video is seen.
        recipe: sizes and steps of every stage but the policy's.
        steps: of the policy's training.
        size_px: of frames.
        videos: expert episodes of the video, shared out evenly; their actions are not read.
        video_seed: their first seed, the same for each arm.
        demonstrations, draws: of the robot, and their first seeds.
        episodes: of each evaluation, on the suite's evaluation seeds.
        tuning_episodes, tuning_seed: the same with `--tuning`, and the first of those seeds.
    """

    robot: str = "Panda"
    others: tuple[str, ...] = ("UR5e", "Sawyer", "IIWA", "Kinova3")
    recipe: str = "small"
    steps: int = 1200
    size_px: int = 128
    videos: int = 100
    video_seed: int = 100_000
    demonstrations: int = 3
    draws: tuple[int, ...] = (0, 20_000, 40_000)
    episodes: int = 50
    tuning_episodes: int = 24
    tuning_seed: int = 700_000


PROTOCOL = Protocol()
FILMED = ("others", "same", "pretrained")  # arms with video of the task
ARMS = {
    "scratch": "no video",
    "others": "video of other arms only, by the gaps that it leaves",
    "same": "as much video of the same arm, as its hand is seen",
    "pretrained": "a world model of the video of other arms",
    "clips": "a world model of real clips of robots and hands",
}


@dataclass(frozen=True)
class Args:
    """Flags."""

    work: Path
    """scratch directory: datasets, models, results"""
    json: Path
    """result"""
    arms: tuple[str, ...] = ("scratch", "others", "same", "pretrained", "clips")
    """which of ARMS; `clips` needs --clips"""
    draws: tuple[int, ...] = PROTOCOL.draws
    """which of the protocol's"""
    task: str = "PickPlaceCan"
    """of robosuite"""
    varied: bool = False
    """video and evaluation under other light and among other colours and patterns"""
    tuning: bool = False
    """seeds to choose by, not those of the figures"""
    clips: Path | None = None
    """folder of real clips"""
    dry: bool = False
    """print the commands only"""


def main(args: Args) -> None:
    """Run what is missing, then write what it says."""
    arms = [arm for arm in args.arms if arm != "clips" or args.clips is not None]
    runs: list[dict[str, Any]] = []
    printed = set[Path]()
    for draw, arm in product(args.draws, arms):
        seed = PROTOCOL.draws.index(draw)
        *_, (_, result) = steps = [*commands(args, arm, draw, seed)]
        go_through(steps, args.dry, printed)
        if not args.dry:
            runs.append({"arm": arm, "draw": draw, "seed": seed, "stages": ends(result)})
            write(args, runs)


def commands(args: Args, arm: str, draw: int, seed: int) -> Iterator[tuple[list[str], Path]]:
    """What leads to a run's result, which the last one makes."""
    p, work = PROTOCOL, args.work / args.task
    size = ("--size-px", str(p.size_px))
    demos = work / f"demos_{draw}"
    suite, looks = f"robosuite/{args.task}", "_varied" * args.varied
    yield recorded(suite, demos, p.demonstrations, draw, "--robot", p.robot, *size)
    model, more = "scratch", []
    if arm in FILMED:
        robots = (p.robot,) if arm == "same" else p.others
        videos = [work / f"video{looks}" / name for name in robots]
        for name, path in zip(robots, videos, strict=True):
            count = p.videos // len(robots)
            yield recorded(suite + looks, path, count, p.video_seed, "--robot", name, *size)
        if arm != "pretrained":
            more = ["--video" if arm == "same" else "--other-video", *map(str, videos)]
    if arm == "clips":
        videos = [work / "clips"]
        words = ["robowm", "ingest", str(args.clips), "--size-px", "128"]
        yield [*words, "--out", str(videos[0])], videos[0] / "robowm.json"
    policy = work / "policies" / (arm + looks * (arm in FILMED) + f"_{draw}_{seed}")
    if arm in ("pretrained", "clips"):
        yield from labelled(videos, p.recipe)
        world = work / "worlds" / policy.name
        words = ["robowm", "pretrain", *map(str, videos), "--recipe", p.recipe]
        yield [*words, "--train.seed", str(seed), "--out", str(world)], world / "model.safetensors"
        model = str(world)
    words = ["robowm", "finetune", model, str(demos), "--recipe", p.recipe, *more]
    words += ["--train.steps", str(p.steps), "--train.seed", str(seed), "--out", str(policy)]
    yield words, policy / "model.safetensors"
    played = looks + "_tuning" * args.tuning
    result = work / "eval" / f"{policy.name}{played and f'_on{played}'}.json"
    words = ["robowm", "eval", str(policy), "--suite", suite + looks, "--robot", p.robot]
    words += ["--episodes", str(p.tuning_episodes if args.tuning else p.episodes)]
    words += ["--seed", str(p.tuning_seed if args.tuning else 0), "--num-envs", "1"]
    yield [*words, "--baseline-episodes", "0", "--videos", "0", "--out", str(result)], result


def write(args: Args, runs: list[dict[str, Any]]) -> None:
    """The runs so far, and what they say."""
    write_json(
        args.json,
        {
            "command": command(args, runs),
            "protocol": plain(asdict(PROTOCOL)),
            "task": args.task,
            "varied": args.varied,
            "tuning": args.tuning,
            "arms": ARMS,
            "runs": runs,
            "table": table(runs),
            **made_with("robowm", "torch", "lerobot", "robosuite", "mujoco"),
        },
    )


def command(args: Args, runs: list[dict[str, Any]]) -> str:
    """What makes such a result in one go."""
    words = ["python benchmarks/other_bodies.py --work DIR --json FILE --task", args.task]
    for key in ("arm", "draw"):
        words += [f"--{key}s", *dict.fromkeys(str(run[key]) for run in runs)]
    words += [f"--{flag}" for flag in ("varied", "tuning") if getattr(args, flag)]
    return " ".join([*words, *["--clips DIR"] * (args.clips is not None)])


def table(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By arm: percent of successes, and points above `scratch`, each run beside that of its draw
    and seed; with 95 % intervals over runs and episodes (None with one run)."""
    lines = []
    for arm in dict.fromkeys(run["arm"] for run in runs):
        alone = percent(run["stages"] for run in runs if run["arm"] == arm)
        pairs = matched(runs, arm)
        line: dict[str, Any] = {"arm": arm, "runs": len(alone)}
        line["percent"] = spread(over_runs([alone]))
        line["by_run"] = alone.mean(1).tolist()
        if arm != "scratch" and pairs:
            sides = ([percent(side)] for side in zip(*pairs, strict=True))
            line["points"] = spread(over_runs(*sides, matched=True))
        lines.append(line)
    return lines


def matched(runs: list[dict[str, Any]], arm: str) -> list[tuple[list[str], list[str]]]:
    """How an arm's runs ended, each with that of `scratch` of the same draw and seed."""
    bare = {(run["draw"], run["seed"]): run for run in runs if run["arm"] == "scratch"}
    own = [run for run in runs if run["arm"] == arm and (run["draw"], run["seed"]) in bare]
    return [(run["stages"], bare[run["draw"], run["seed"]]["stages"]) for run in own]


if __name__ == "__main__":
    main(tyro.cli(Args))
