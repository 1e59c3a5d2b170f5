"""kill -9 at random moments in every stage, then the same command again: is the result whole?

    python benchmarks/kill_resume.py --work DIR --json benchmarks/results/kill_resume.json

Each stage is run once undisturbed (how long it takes, and what it leaves), then `--kills` times
killed with its children at a moment drawn evenly from its duration, and started again. A result
counts as whole when the second command exits with 0, the artefact loads with the stock library,
and nothing of the work directory is left.
"""

import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from _versions import made_with

from robowm.artefact import write_json
from robowm.errors import nearest

TINY = ["--recipe", "tiny"]
LONGER = [*TINY, "--train.steps", "60", "--train.checkpoint-every-s", "1"]


@dataclass(frozen=True)
class Args:
    """Flags."""

    work: Path
    """scratch directory, new or empty"""
    json_file: Annotated[Path, tyro.conf.arg(name="json")]
    """result"""
    kills: int = 3
    """kills per stage"""
    seed: int = 0
    """seed of the moments"""
    stages: tuple[str, ...] = ()
    """which of STAGES; none names all"""


@dataclass(frozen=True)
class Stage:
    """A command with OUT in it, and a check that its artefact loads."""

    name: str
    words: list[str]
    check: Callable[[Path], None]
    copied: str | None = None
    """an input that the stage writes into: each run gets its own copy as OUT"""


def dataset(root: Path) -> None:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    found = LeRobotDataset("local/check", root=root, video_backend="pyav")
    assert len(found) > 0 and found[len(found) - 1]


def labels(root: Path) -> None:
    dataset(root)
    assert json.loads((root / "labels" / "report.json").read_text())["reality"]


def world_model(root: Path) -> None:
    from robowm.nn.directory import load_weights
    from robowm.train.build_policy import read_world_model
    from robowm.world.vipra import ViPRAWorldModel

    load_weights(root, ViPRAWorldModel(read_world_model(root)))


def policy(root: Path) -> None:
    from robowm.policy.lerobot_controller import load_controller

    assert load_controller(root).action_dim == 7


def evaluation(path: Path) -> None:
    assert len(json.loads(path.read_text())["episodes"]) == 4


def page(path: Path) -> None:
    assert "</html>" in path.read_text()


def run_directory(root: Path) -> None:
    assert json.loads((root / "results.json").read_text())["pretrained"]["episodes"] == 2
    page(root / "report.html")


FEW = shlex.split("--videos 4 --demonstrations 2 --episodes 2 --baseline-episodes 1")
STAGES = [
    Stage("ingest", ["ingest", "BASE/video", "--out", "OUT", "--size-px", "32"], dataset),
    Stage("label", ["label", "OUT", *LONGER], labels, copied="unlabelled"),
    Stage("as_action", ["label", "BASE/ingest", "--as-action", "OUT"], dataset),
    Stage("pretrain", ["pretrain", "BASE/ingest", "--out", "OUT", *LONGER], world_model),
    Stage("record", ["record", "--out", "OUT", "--episodes", "4"], dataset),
    Stage(
        "finetune",
        ["finetune", "BASE/pretrain", "BASE/demonstrations", "--out", "OUT", *LONGER],
        policy,
    ),
    Stage(
        "eval",
        shlex.split("eval BASE/finetune_scratch --out OUT/eval.json --episodes 4"),
        lambda out: evaluation(out / "eval.json"),
    ),
    Stage(
        "deploy",
        ["deploy", "scripted", "--robot", "so101_emulated", "--seconds", "6", "--out", "OUT"],
        dataset,
    ),
    Stage("report", ["report", "BASE", "--out", "OUT/page.html"], lambda o: page(o / "page.html")),
    Stage("quickstart", ["quickstart", *TINY, *FEW, "--out", "OUT"], run_directory),
]


def main() -> None:
    """Prepare one small run, then kill every stage."""
    args = tyro.cli(Args)
    known = [stage.name for stage in STAGES]
    for name in args.stages:
        if name not in known:
            raise SystemExit(f"--stages: no stage {name!r}. {nearest(name, known)}")
    args.work.mkdir(parents=True, exist_ok=True)
    base = args.work / "base"
    robowm(["quickstart", *TINY, *FEW, "--out", str(base)])
    robowm(["ingest", str(base / "video"), "--out", str(base / "unlabelled"), "--size-px", "32"])
    draw = random.Random(args.seed)
    rows = []
    for stage in (stage for stage in STAGES if stage.name in (args.stages or known)):
        reference = args.work / f"{stage.name}_reference"
        words = prepare(stage, base, reference)
        begun = time.monotonic()
        robowm(words)
        whole_s = time.monotonic() - begun
        stage.check(reference)
        for number in range(args.kills):
            out = args.work / f"{stage.name}_{number}"
            words = prepare(stage, base, out)
            moment_s = draw.uniform(0.05, 0.98) * whole_s
            killed = kill_at(words, moment_s)
            robowm(words)
            stage.check(out)
            left = [p.name for p in out.parent.glob(f".{out.name}*")]
            left += [p.name for p in out.rglob(".*") if out.is_dir()]
            assert not left, left
            row = {"stage": stage.name, "whole_s": round(whole_s, 1)}
            row |= {"killed_at_s": round(moment_s, 1), "was_running": killed, "whole": True}
            rows.append(row)
            print(row, flush=True)
    write_json(
        args.json_file,
        {
            "command": "python " + shlex.join(["benchmarks/kill_resume.py", *flags(args)]),
            "kills": rows,
            **made_with("robowm", "torch", "lerobot", "robosuite"),
        },
    )


def flags(args: Args) -> list[str]:
    words = ["--work", "DIR", "--json", "FILE"]
    words += ["--kills", str(args.kills), "--seed", str(args.seed)]
    return words + ["--stages", *args.stages] * bool(args.stages)


def prepare(stage: Stage, base: Path, out: Path) -> list[str]:
    """The stage's command for this `out`, with what it writes into laid ready."""
    if stage.copied:
        shutil.copytree(base / stage.copied, out)
    return [w.replace("BASE", str(base)).replace("OUT", str(out)) for w in stage.words]


def robowm(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "robowm", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (words, done.stderr)


def kill_at(words: list[str], moment_s: float) -> bool:
    """Start a command, SIGKILL it and its children after `moment_s`; was it still running?"""
    process = subprocess.Popen(
        [sys.executable, "-m", "robowm", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=moment_s)
        return False
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return True


if __name__ == "__main__":
    main()
