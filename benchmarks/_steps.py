"""A study as a chain of commands, each with the file that is there when it is done."""

import json
import shlex
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

Steps = Iterable[tuple[list[str], Path]]


def go_through(steps: Steps, dry: bool, printed: set[Path]) -> None:
    """Perform what is missing, or with `dry` print each command once."""
    for command, made in steps:
        if not dry:
            perform(command, made)
        elif made not in printed:
            print(shlex.join(command))
        printed.add(made)


def perform(command: list[str], made: Path) -> None:
    """Run a command unless what it makes is there; its time is kept beside it."""
    if made.exists():
        return
    print(shlex.join(command), flush=True)
    made.parent.parent.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    took = {"command": shlex.join(command), "seconds": round(time.monotonic() - begun)}
    with (made.parent.parent / "times.jsonl").open("a") as file:
        file.write(json.dumps(took) + "\n")


def recorded(suite: str, out: Path, episodes: int, seed: int, *more: str) -> tuple[list[str], Path]:
    """The command that records an expert's episodes."""
    words = ["robowm", "record", "--suite", suite, "--episodes", str(episodes)]
    return [*words, "--seed", str(seed), *more, "--out", str(out)], out / "robowm.json"


def labelled(
    datasets: list[Path], recipe: str = "small", name: str = "default", labeller: Path | None = None
) -> Steps:
    """The commands that label; without a labeller the first dataset's is trained and serves all."""
    folder = "labels" if name == "default" else f"labels.{name}"
    for path in datasets:
        words = ["robowm", "label", str(path), "--name", name]
        words += ["--labeller", str(labeller)] if labeller else ["--recipe", recipe]
        yield words, path / folder / "robowm.json"
        labeller = labeller or datasets[0] / folder / "model"
