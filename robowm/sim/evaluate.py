"""How often a policy succeeds, on fixed seeds, beside what nothing and chance achieve."""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from robowm import __version__
from robowm.artefact import directory_sha256, plain, read_card, write_json, write_text
from robowm.errors import UserError
from robowm.machine import machine
from robowm.metrics.intervals import wilson
from robowm.metrics.result import SCHEMA
from robowm.policy.controller import Controller, NullController, RandomController
from robowm.policy.find import find_policy
from robowm.progress import progress
from robowm.sim.film import write_mp4
from robowm.sim.pool import EnvPool
from robowm.sim.rollout import TOLD, EpisodeResult, ExpertController, open_envs, rollout
from robowm.sim.seeds import EVALUATION, take
from robowm.sim.suite import Task

BASELINES = ("null", "random")
BUILT_IN = ("expert", *BASELINES)
VIDEO_SCALE = 4
DEFAULT_PX = 64


@dataclass(frozen=True)
class EvalConfig:
    """How much to evaluate.

    Attributes:
        episodes: of the policy.
        seed: of the first episode; the others follow. 0 to 999_999.
        robot: arm; None: the task's default.
        baseline_episodes: of `null` and of `random`, on the first of the same seeds; 0: none;
            None: as many as the policy's, at most 20.
        videos: how many of the first episodes are kept as mp4.
        size_px: height and width of the frames the policy is given; None: what its configuration
            says, DEFAULT_PX where it says nothing.
    """

    episodes: int = 50
    seed: int = 0
    robot: str | None = None
    baseline_episodes: int | None = None
    videos: int = 4
    size_px: int | None = None


def evaluate(
    policy: str | Path,
    task: Task,
    out: Path,
    config: EvalConfig | None = None,
    num_envs: int = 2,
) -> dict[str, Any]:
    """Run the episodes and write `out`, a JSON file; videos stand in `<stem>_videos/` beside it.

    Run again after a kill, it goes on from the last whole episode.

    Args:
        policy: a LeRobot policy directory or Hub id, or "expert", "random" or "null".
        task: what to do; from a suite.
        out: JSON file to write.
        config: how much.
        num_envs: episodes side by side; the results do not depend on it.

    Returns:
        what was written, as `robowm.metrics.result` says.

    Raises:
        UserError: no such policy, robot or expert, a policy that does not fit the task (camera,
            sizes, rate) or lacks its statistics, seeds outside the block for evaluation, or `out`
            cannot be written or holds the result of other settings. No simulator has started then.
    """
    config = config or EvalConfig()
    out = Path(out)
    seeds = list(take(EVALUATION, config.seed, config.episodes))
    folder = None if policy in BUILT_IN else find_policy(policy, BUILT_IN)
    _check(config, num_envs)
    if policy == "expert":
        task.require_expert()
    size_px = config.size_px or (DEFAULT_PX if folder is None else _declared_px(folder))
    settings = {
        "policy": str(policy),
        "policy_sha256": None if folder is None else directory_sha256(folder),
        "suite": task.name,
        **asdict(config),
        "size_px": size_px,
        "robot": task.robot(config.robot),
        "baseline_episodes": _baseline_count(config),
        "max_steps": task.max_steps,
        **task.prepare(),
    }
    if (done := _finished(out, settings)) is not None:
        return done
    loaded = None if folder is None else _load(folder, task, size_px)
    begun_s = time.monotonic()
    journal = Journal(out, settings)
    videos = out.parent / f"{out.stem}_videos"
    with open_envs(task, settings["robot"], num_envs, size_px) as envs:
        controllers = _controllers(envs, str(policy), loaded, settings["baseline_episodes"])
        for name, make in controllers.items():
            wanted = seeds if name == "policy" else seeds[: settings["baseline_episodes"]]
            missing = [seed for seed in wanted if seed not in journal.finished(name)]
            if not missing:
                continue
            filmed = seeds[: config.videos] if name == "policy" else []
            with progress(f"eval {name}", len(wanted), len(wanted) - len(missing)) as advance:

                def keep(result: EpisodeResult, name: str = name, shown: Any = advance) -> None:
                    if result.frames is not None:
                        _film(videos, seeds.index(result.seed), result, task.control_hz)
                    journal.add(name, result)
                    shown()

                rollout(envs, make(), missing, task.text, filmed, keep)
    report = summary(journal.episodes("policy", seeds)) | {
        "baselines": {
            name: summary(journal.episodes(name, seeds[: settings["baseline_episodes"]]))
            for name in controllers
            if name != "policy"
        },
        "schema": SCHEMA,
        "suite": task.name,
        "policy": str(policy),
        "training": None if folder is None else _training(folder),
        "assets": settings.get("assets"),
        "videos": [f"{videos.name}/{film.name}" for film in sorted(videos.glob("*.mp4"))],
        "settings": settings,
        "versions": {"robowm": __version__}
        | {name: version(name) for name in (*task.packages, "gymnasium", "torch")},
        "machine": machine(),
        "wall_time_s": round(journal.earlier_s + time.monotonic() - begun_s, 1),
    }
    write_json(out, report)
    journal.remove()
    return report


def summary(episodes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Episodes with their successes, rate, its 95 % Wilson interval, errors and retries."""
    successes = sum(episode["success"] for episode in episodes)
    return {
        "episodes": list(episodes),
        "successes": successes,
        "success_rate": successes / len(episodes) if episodes else 0.0,
        "interval": list(wilson(successes, len(episodes))),
        "errors": sum("error" in episode for episode in episodes),
        "retries": sum(episode.get("retries", 0) for episode in episodes),
    }


class Journal:
    """Finished episodes, a line each, beside the result until that is written.

    A run with the same settings finds them again; a last line cut short by a kill is dropped.
    """

    def __init__(self, out: Path, settings: dict[str, Any]) -> None:
        self._path = out.with_name(f".{out.name}.partial.jsonl")
        self._begun_s = time.monotonic()
        self._lines: list[dict[str, Any]] = []
        head = {"settings": plain(settings)}
        found = _whole_lines(self._path)
        if found and found[0] == head:
            self._lines = found[1:]
        self.earlier_s = max((line["at_s"] for line in self._lines), default=0.0)
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            text = "".join(json.dumps(line) + "\n" for line in [head, *self._lines])
            write_text(self._path, text)
        except OSError as error:
            raise UserError(
                f"--out {out} cannot be written ({error.strerror}); expected a file in a "
                "directory this user may create files in."
            ) from error

    def add(self, controller: str, result: EpisodeResult) -> None:
        """Keep one episode."""
        episode = {
            "seed": result.seed,
            "success": result.success,
            "length": result.length,
            "retries": result.retries or None,
        } | {name: getattr(result, name) for name in (*TOLD, "error")}
        line = {
            "controller": controller,
            "episode": {key: value for key, value in episode.items() if value is not None},
            "at_s": round(self.earlier_s + time.monotonic() - self._begun_s, 1),
        }
        self._lines.append(line)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def finished(self, controller: str) -> set[int]:
        """Seeds that this controller has done."""
        return {e["seed"] for e in self._episodes(controller)}

    def episodes(self, controller: str, seeds: Sequence[int]) -> list[dict[str, Any]]:
        """This controller's episodes in the order of `seeds`."""
        kept = {episode["seed"]: episode for episode in self._episodes(controller)}
        return [kept[seed] for seed in seeds]

    def _episodes(self, controller: str) -> list[dict[str, Any]]:
        return [line["episode"] for line in self._lines if line["controller"] == controller]

    def remove(self) -> None:
        """The result is written: nothing to go on from."""
        self._path.unlink(missing_ok=True)


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    lines = []
    try:
        for text in path.read_text(encoding="utf-8").splitlines():
            lines.append(json.loads(text))
    except (OSError, ValueError):
        pass
    return lines


def _controllers(
    envs: EnvPool, policy: str, loaded: Controller | None, baseline_episodes: int
) -> dict[str, Callable[[], Controller]]:
    space: Any = envs.single_action_space
    action_dim = space.shape[0]
    built_in: dict[str, Callable[[], Controller]] = {
        "expert": partial(ExpertController, envs, action_dim),
        "null": partial(NullController, action_dim),
        "random": partial(RandomController, space.low, space.high),
    }
    names = BASELINES if baseline_episodes else ()
    first = (lambda: loaded) if loaded is not None else built_in[policy]
    return {"policy": first, **{name: built_in[name] for name in names}}


def _check(config: EvalConfig, num_envs: int) -> None:
    for name, value, least in (
        ("episodes", config.episodes, 1),
        ("videos", config.videos, 0),
        ("baseline-episodes", _baseline_count(config), 0),
        ("num-envs", num_envs, 1),
        ("size-px", DEFAULT_PX if config.size_px is None else config.size_px, 16),
    ):
        if value < least:
            raise UserError(f"--{name} {value}: expected {least} or more.")


def _baseline_count(config: EvalConfig) -> int:
    wanted = 20 if config.baseline_episodes is None else config.baseline_episodes
    return min(wanted, config.episodes)


def _finished(out: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    if not out.exists():
        return None
    try:
        report = json.loads(out.read_text(encoding="utf-8"))
        same = report["settings"] == plain(settings)
    except (OSError, ValueError, KeyError, TypeError):
        report, same = None, False
    if same:
        return report
    what = "an evaluation with other settings" if report else "something else"
    raise UserError(
        f"--out {out} already holds {what}; expected a new file. "
        "Name another one, or delete this one first."
    )


def _declared_px(policy: Path) -> int:
    """Height of the first camera that a policy's configuration names, pixels."""
    try:
        inputs = json.loads((policy / "config.json").read_text(encoding="utf-8"))["input_features"]
        return next(int(f["shape"][-2]) for f in inputs.values() if f["type"] == "VISUAL")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, StopIteration):
        return DEFAULT_PX  # `_load` will say what is wrong


def _load(policy: Path, task: Task, size_px: int) -> Controller:
    """A policy, once it is known to fit the task.

    Raises:
        UserError: it does not, and in what.
    """
    from robowm.policy.lerobot_controller import load_controller

    controller = load_controller(policy)
    wanted = {"action": len(task.action_names), "state": len(task.state_names)}
    for what, size in wanted.items():
        got = getattr(controller, f"{what}_dim", size)
        if got != size:
            raise UserError(
                f"{policy} has {what}s of size {got}; {task.name} expects {size}: "
                f"{', '.join(getattr(task, f'{what}_names'))}."
            )
    if controller.cameras != {task.camera: (size_px, size_px)}:
        seen = ", ".join(f"{name} {h}x{w}" for name, (h, w) in controller.cameras.items())
        raise UserError(
            f"{policy} was trained on {seen} pixels; {task.name} gives {task.camera} "
            f"{size_px}x{size_px}. Expected the camera and size of its demonstrations (--size-px)."
        )
    if controller.control_hz not in (None, task.control_hz):
        raise UserError(
            f"{policy} was trained on demonstrations at {controller.control_hz:g} Hz; {task.name} "
            f"runs at {task.control_hz} Hz. Expected the same rate: record them again at it."
        )
    return controller


def _training(policy: Path) -> dict[str, Any]:
    """What a policy's directory says of its training: `data_sha256` and `seed`, None if nothing.

    Ours has a card; LeRobot's training command leaves `train_config.json`.
    """
    card = read_card(policy) or {}
    said: dict[str, Any] = {"data_sha256": card.get("dataset_sha256"), "seed": None}
    try:
        said["seed"] = card["settings"]["config"]["train"]["seed"]
    except (KeyError, TypeError):
        with suppress(OSError, ValueError, AttributeError):
            said["seed"] = json.loads((policy / "train_config.json").read_text()).get("seed")
    return said


def _film(folder: Path, index: int, result: EpisodeResult, fps: int) -> None:
    assert result.frames is not None
    folder.mkdir(exist_ok=True)
    end = "success" if result.success else "failure"
    path = folder / f"{index:03d}_{end}_seed_{result.seed}.mp4"
    write_mp4(path, result.frames, fps, scale=VIDEO_SCALE)
