"""SIMPLER with 1, 3, 10 and 25 demonstrations a task: with and without video.

    python benchmarks/simpler_ladder.py --work DIR --json benchmarks/results/simpler_ladder.json

PROTOCOL below is fixed before the runs and says all that is chosen. Every step is a command of
robowm or LeRobot with its output in DIR; run again after a kill it goes on, and with `--keep FILE`
on another machine, too: runs that an earlier result has are not repeated. Each run says which
commit it is of. A policy is trained on four tasks together. `--tuning` plays random layouts in the
place of the official ones, and its result says so: only without it are the official layouts
touched, and only for the last figures. `--narrow` asks the same where labels are narrow and video
is wide: demonstrations of one quarter of the table under one light, video of all of it under other
light, with turned cameras and other things about, played under such looks, or with `--published`
as without it. Two ladders make better use of two cores, each under
`taskset` with rungs or arms and a --json of its own; then `--keep ONE.json OTHER.json` puts them
together. `--dry` prints what would be run. The headline alone is `--rungs 25 --draws 0 --arms
scratch`. LeRobot's policies train for as long as ours take (`lerobot_arm.py`).
"""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import _steps
import tyro
from _ladder import TASKS, gains, recovered, table
from _versions import commit, made_with

from robowm.artefact import plain, write_json

GOAL_ERROR = Path(__file__).with_name("goal_error.py")
LEROBOT_ARM = Path(__file__).with_name("lerobot_arm.py")


@dataclass(frozen=True)
class Protocol:
    """What is chosen before the runs.

    Attributes:
        rungs: demonstrations a task.
        draws: first seeds of the demonstrations (all of random layouts); far enough apart.
        seeds: of training.
        wide: episodes a task of the video, whose actions only `ceiling` reads.
        wide_seed: their first seed.
        episodes: a task, on the official layouts: once through them.
        tuning_episodes: a task, on random layouts.
        tuning_seed: their first seed.
        few: demonstrations a task up to which `few_steps` are trained, not `finetune_steps`.
        few_steps, finetune_steps: of every arm.
        hand_steps: of the network that sees the hand, arm `seen`.
        step_s: what a step of ours takes one core at most; so long LeRobot's policies train.
        held: demonstrations a task, of random layouts, on which goals are compared.
        held_seed: their first seed. Those from 5,000 have served to choose what sees the hand in
            video, so they are held out no more.
    """

    rungs: tuple[int, ...] = (1, 3, 10, 25)
    draws: tuple[int, ...] = (0, 20_000, 40_000)
    seeds: tuple[int, ...] = (0, 1, 2)
    wide: int = 100
    wide_seed: int = 100_000
    episodes: int = 24
    tuning_episodes: int = 10
    tuning_seed: int = 0
    few: int = 10
    few_steps: int = 1200
    finetune_steps: int = 2500
    hand_steps: int = 900
    step_s: float = 1.0
    held: int = 12
    held_seed: int = 7_000


PROTOCOL = Protocol()
ARMS = {
    "scratch": "demonstrations alone",
    "seen": "where the hand goes in the wide video, as seen: no action, no state of it is read",
    "pretrained": "a world model of the wide video first; its actions are not read",
    "lapa": "as pretrained, but LAPA's way: one latent action foretold, no frame; a step at a time",
    "vpt": "the wide video as further demonstrations, its actions read off latents by the map",
    "ceiling": "the wide video as further demonstrations, with its true actions",
    "act": "LeRobot's ACT, demonstrations alone",
    "diffusion": "LeRobot's Diffusion Policy, demonstrations alone",
    "vqbet": "LeRobot's VQ-BeT, demonstrations alone",
}
LEROBOT = ("act", "diffusion", "vqbet")
WITHOUT_GOALS = ("vpt", *LEROBOT)
RECIPES = {"lapa": "baselines/lapa"}  # the other arms': small


@dataclass(frozen=True)
class Args:
    """Flags."""

    work: Path
    """scratch directory: datasets, policies, results"""
    json: Path
    """result"""
    arms: tuple[str, ...] = ("scratch", "seen", "pretrained", "ceiling")
    """which of ARMS"""
    rungs: tuple[int, ...] = PROTOCOL.rungs
    """which rungs"""
    draws: tuple[int, ...] = PROTOCOL.draws
    """which draws"""
    seeds: tuple[int, ...] = PROTOCOL.seeds
    """which training seeds"""
    crossed: bool = False
    """every draw with every training seed; else the first draw with the first seed, and so on"""
    tuning: bool = False
    """random layouts, not the official ones"""
    narrow: bool = False
    """demonstrations of one quarter of the table, video and evaluation under varied looks"""
    published: bool = False
    """with --narrow: evaluation under the published looks"""
    keep: tuple[Path, ...] = ()
    """results of this protocol whose runs are taken over, not repeated"""
    dry: bool = False
    """print the commands only"""


def main(args: Args) -> None:
    """Run what is missing, then write the table."""
    results, printed = kept(args), set[Path]()
    (args.work / "goals").mkdir(parents=True, exist_ok=True)
    for rung, (draw, seed), arm in product(args.rungs, pairs(args), args.arms):
        run = Run(args, rung, draw, seed, arm)
        if any(key(run.key) == key(done) for done in results):
            continue
        _steps.go_through(run.commands(), args.dry, printed)
        if not args.dry:
            results.append(run.read())
            write(args, results)
    if not args.dry:
        write(args, results)


def write(args: Args, results: list[dict[str, Any]]) -> None:
    """The runs so far and what they say."""
    arms = tuple(dict.fromkeys(run["arm"] for run in results))
    write_json(
        args.json,
        {
            "command": command(args, results),
            "protocol": asdict(PROTOCOL),
            "layouts": layouts(args),
            "arms": {arm: ARMS[arm] for arm in arms},
            "runs": results,
            "table": table(results),
            "gains": gains(results, arms),
            "recovered": recovered(results),
            **made_with("robowm", "torch", "lerobot", "mani_skill"),
        },
    )


def command(args: Args, results: list[dict[str, Any]]) -> str:
    """What makes such a result in one go."""
    words = ["python benchmarks/simpler_ladder.py --work DIR --json FILE"]
    for flag, key in (("rungs", "rung"), ("arms", "arm"), ("draws", "draw"), ("seeds", "seed")):
        words += [f"--{flag}", *dict.fromkeys(str(run[key]) for run in results)]
    flags = ("tuning", "narrow", "published")
    return " ".join(words + [f"--{flag}" for flag in flags if getattr(args, flag)])


def layouts(args: Args) -> str:
    """Which are played, how they look, and whether labels were narrow."""
    played = "random (tuning)" if args.tuning else "official"
    shifted = ", shifted looks" if args.narrow and not args.published else ""
    return played + shifted + ", narrow labels" * args.narrow


def variant(args: Args) -> str:
    """The suite's variant that is played."""
    if args.narrow and not args.published:
        return "_varied" if args.tuning else "_shifted"
    return "_random" * args.tuning


def kept(args: Args) -> list[dict[str, Any]]:
    """Runs that need not be repeated."""
    runs: list[dict[str, Any]] = []
    for path in args.keep:
        found = json.loads(path.read_text())
        if found["protocol"] != plain(asdict(PROTOCOL)) or found["layouts"] != layouts(args):
            raise SystemExit(f"--keep: {path} is of another protocol or other layouts.")
        runs += [run for run in found["runs"] if not any(key(run) == key(one) for one in runs)]
    return sorted(runs, key=lambda run: (run["rung"], [*ARMS].index(run["arm"]), run["seed"]))


def key(run: dict[str, Any]) -> tuple[Any, ...]:
    """What tells one run from another."""
    return run["arm"], run["rung"], run["draw"], run["seed"]


def pairs(args: Args) -> list[tuple[int, int]]:
    """(draw, training seed) of each run."""
    if args.crossed or len(args.draws) == 1:
        return list(product(args.draws, args.seeds))
    if len(args.draws) != len(args.seeds):
        raise SystemExit(
            f"--draws {args.draws} and --seeds {args.seeds}: expected as many of one as of the "
            "other, or --crossed."
        )
    return list(zip(args.draws, args.seeds, strict=True))


@dataclass(frozen=True)
class Run:
    """One arm with one draw of demonstrations and one training seed."""

    args: Args
    rung: int
    draw: int
    seed: int
    arm: str

    @property
    def key(self) -> dict[str, Any]:
        """What tells one run from another."""
        return {"arm": self.arm, "rung": self.rung, "draw": self.draw, "seed": self.seed}

    @property
    def policy(self) -> Path:
        """Its directory."""
        name = f"{self.arm}_{self.rung}_{self.draw}_{self.seed}"
        return self.args.work / "policies" / ("narrow_" * self.args.narrow + name)

    def commands(self) -> Iterator[tuple[list[str], Path]]:
        """What leads to its results, each with the file that is there when it is done."""
        narrow = self.args.narrow
        name = "narrow_" * narrow + f"demos_{self.rung}_{self.draw}"
        demos = [self.args.work / name / task for task in TASKS]
        for task, path in zip(TASKS, demos, strict=True):
            yield recorded(task + "_quarter" * narrow, path, self.rung, self.draw)
        yield from self._trained(demos)
        if self.arm not in WITHOUT_GOALS:
            held = [self.args.work / f"held_{PROTOCOL.held_seed}" / task for task in TASKS]
            for task, path in zip(TASKS, held, strict=True):
                yield recorded(task, path, PROTOCOL.held, PROTOCOL.held_seed)
            words = [sys.executable, str(GOAL_ERROR), str(self.policy), *map(str, held)]
            yield [*words, "--json", str(self._goals)], self._goals
        for task in TASKS:
            yield self._evaluated(task)

    @property
    def _goals(self) -> Path:
        return self.args.work / "goals" / f"{self.policy.name}.json"

    def _trained(self, demos: list[Path]) -> Iterator[tuple[list[str], Path]]:
        p = PROTOCOL
        steps = p.few_steps if self.rung <= p.few else p.finetune_steps
        if self.arm in LEROBOT:
            words = [sys.executable, str(LEROBOT_ARM), self.arm, *map(str, demos)]
            words += ["--seconds", str(steps * p.step_s), "--seed", str(self.seed)]
            yield [*words, "--out", str(self.policy)], self.policy / "model.safetensors"
            return
        work = self.args.work
        varied = self.args.narrow
        wide = [work / ("varied" if varied else "wide") / task for task in TASKS]
        if self.arm != "scratch":
            for task, path in zip(TASKS, wide, strict=True):
                suite = task + "_varied" * varied
                yield recorded(suite, path, PROTOCOL.wide, PROTOCOL.wide_seed)
        model, extra, more = "scratch", [], []
        recipe = RECIPES.get(self.arm, "small")
        if self.arm in ("pretrained", "lapa"):
            labels = "lapa" if self.arm == "lapa" else "default"
            yield from _steps.labelled(wide, recipe, labels)
            kind = "lapa_" * (self.arm == "lapa")
            world = work / ("narrow_" * varied + kind + f"world_{self.seed}")
            words = ["robowm", "pretrain", *map(str, wide), "--recipe", recipe]
            words += ["--labels", labels, "--train.seed", str(self.seed), "--out", str(world)]
            yield words, world / "model.safetensors"
            model = str(world)
        elif self.arm == "vpt":
            yield from _steps.labelled(wide)
            yield from self._pseudo(demos, wide)
            extra = [self._map / "video" / path.name for path in wide]
            more = ["--policy.no-use-state"]  # video has no proprioception
        elif self.arm == "ceiling":
            extra = wide
        elif self.arm == "seen":
            more = ["--video", *map(str, wide), "--hand-steps", str(PROTOCOL.hand_steps)]
        words = ["robowm", "finetune", model, *map(str, [*demos, *extra]), "--recipe", recipe]
        words += ["--train.steps", str(steps), "--train.seed", str(self.seed)]
        yield [*words, *more, "--out", str(self.policy)], self.policy / "model.safetensors"

    @property
    def _map(self) -> Path:
        return self.policy.with_name(self.policy.name + "_map")

    def _pseudo(self, demos: list[Path], wide: list[Path]) -> Iterator[tuple[list[str], Path]]:
        yield from _steps.labelled(demos, labeller=wide[0] / "labels" / "model")
        words = ["robowm", "finetune", "scratch", *map(str, demos), "--recipe", "small"]
        words += ["--train.steps", "1", "--out", str(self._map)]  # for the map, not for the policy
        yield words, self._map / "model.safetensors"
        for path in wide:
            out = self._map / "video" / path.name
            words = ["robowm", "label", str(path), "--as-action", str(out)]
            yield [*words, "--controls", str(self._map)], out / "meta" / "info.json"

    def _evaluated(self, task: str) -> tuple[list[str], Path]:
        tuning, played = self.args.tuning, task + variant(self.args)
        out = self.args.work / "eval" / f"{self.policy.name}_{played}.json"
        episodes = PROTOCOL.tuning_episodes if tuning else PROTOCOL.episodes
        words = ["robowm", "eval", str(self.policy), "--suite", f"simpler/{played}"]
        words += ["--episodes", str(episodes), "--baseline-episodes", "0", "--videos", "0"]
        words += ["--seed", str(PROTOCOL.tuning_seed if tuning else 0)]
        words += ["--num-envs", str(min(2, len(os.sched_getaffinity(0))))]  # changes no result
        return [*words, "--out", str(out)], out

    def read(self) -> dict[str, Any]:
        """Successes and stages by task, and how far off the goals are on held-out layouts."""
        tasks: dict[str, Any] = {}
        for task in TASKS:
            found = json.loads(self._evaluated(task)[1].read_text())
            tasks[task] = {
                "successes": found["successes"],
                "stages": [episode["stage"] for episode in found["episodes"]],
                "wall_time_s": found["wall_time_s"],
            }
            tasks |= {"assets": found["assets"], "training": found["training"]}
        if self._goals.exists():
            tasks["goal_errors"] = json.loads(self._goals.read_text())["errors"]
        return self.key | {"commit": commit()} | tasks


def recorded(task: str, out: Path, episodes: int, seed: int) -> tuple[list[str], Path]:
    """The command that records demonstrations on random layouts."""
    return _steps.recorded(f"simpler/{task}", out, episodes, seed, "--size-px", "128")


if __name__ == "__main__":
    main(tyro.cli(Args))
