"""The one schema of an evaluation's result, and the reader that holds files to it.

A result is a JSON object of one policy on one task. `robowm eval` writes it, `robowm compare` reads
it. Fields marked * were not there in the first results; their absence is read as "not known".

    schema *        1
    suite           "suite/task"
    policy          as it was given on the command line
    episodes        a list, an episode each:
        seed        int, of the layout and of the policy's noise
        success     bool, the task's criterion at its end
        length      int, control steps
        layout *    int or text, where a suite has numbered layouts
        stage *     one of STAGES: how far it got
        partial *   object of numbers or booleans, the suite's partial metrics at the end
        error *     text: the episode was stopped and counts as failed, for this reason
    successes, success_rate, interval (95 % Wilson)
    baselines       the same four for `null` and `random`, where they were run
    settings        everything that decides the outcome: episodes, seed, robot, max_steps, ...;
                    policy_sha256, of all files of the policy; null: it has no weights
    training *      data_sha256, of the dataset it was fine-tuned on; seed, of that training;
                    each null where the policy's directory does not say; null: nothing was trained
    assets *        "stand-in" where meshes or textures are not the benchmark's own, else null
    videos          files beside the result
    versions        of packages
    machine *       cores, arch, cpu_flags (see robowm.machine)
    wall_time_s     seconds, kills included
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robowm.errors import UserError, nearest

SCHEMA = 1
STAGES = ("success", "never reached", "missed grasp", "dropped", "misplaced")
OPTIONAL = ("layout", "stage", "partial", "error")  # of an episode; left out where not known


@dataclass(frozen=True)
class Episode:
    """How one episode ended; see the schema above."""

    seed: int
    success: bool
    length: int
    layout: int | str | None = None
    stage: str | None = None
    partial: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None

    @property
    def key(self) -> tuple[str, int]:
        """What two episodes must share to be compared in pairs: layout and seed."""
        return "" if self.layout is None else str(self.layout), self.seed

    @property
    def end(self) -> str:
        """The stage for a table; "stopped" after an error, "not said" where it is not known."""
        if self.error is not None:
            return "stopped"
        return self.stage or ("success" if self.success else "not said")


@dataclass(frozen=True)
class Result:
    """One policy on one task, as read from a file; see the schema above."""

    path: Path
    suite: str
    policy: str
    episodes: tuple[Episode, ...]
    settings: Mapping[str, Any]
    training: Mapping[str, Any]
    assets: str | None
    versions: Mapping[str, str]
    machine: Mapping[str, Any]
    wall_time_s: float | None

    @property
    def weightless(self) -> bool:
        """A policy that was never trained, such as `null`: there is no other training of it."""
        return self.settings.get("policy_sha256", "not said") is None


def read_result(path: Path) -> Result:
    """Read one result and check it.

    Raises:
        UserError: it cannot be read, is not a result, is of a later schema, or contradicts itself.
    """
    path = Path(path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise UserError(f"{path} is not JSON; expected a result of `robowm eval`.") from error
    needed = {"suite": str, "policy": str, "episodes": list}
    has = found if isinstance(found, dict) else {}
    lacking = [name for name, kind in needed.items() if not isinstance(has.get(name), kind)]
    if lacking:
        raise UserError(f"{path} is not a result of `robowm eval`: it lacks {', '.join(lacking)}.")
    if has.get("schema", SCHEMA) != SCHEMA:
        raise UserError(f"{path} has schema {has['schema']!r}; this robowm reads up to {SCHEMA}.")
    episodes = tuple(
        _episode(raw, f"{path}: episode {number}") for number, raw in enumerate(has["episodes"])
    )
    if not episodes:
        raise UserError(f"{path} holds no episodes; expected one or more.")
    if len({episode.key for episode in episodes}) < len(episodes):
        raise UserError(f"{path} holds two episodes of one layout and seed; expected one of each.")
    parts = {name: has.get(name) or {} for name in ("settings", "training", "versions", "machine")}
    for name, part in parts.items():
        if not isinstance(part, dict):
            raise UserError(f"{path}: {name} is {part!r}; expected an object.")
    return Result(
        path=path,
        suite=has["suite"],
        policy=has["policy"],
        episodes=episodes,
        assets=has.get("assets"),
        wall_time_s=has.get("wall_time_s"),
        **parts,
    )


def _episode(raw: Any, where: str) -> Episode:
    kinds: dict[str, Any] = {
        "seed": int,
        "success": bool,
        "length": int,
        "layout": int | str | None,
        "stage": str | None,
        "partial": dict | None,
        "error": str | None,
    }
    if not isinstance(raw, dict):
        raise UserError(f"{where} is {raw!r}; expected an object with seed, success, length.")
    for name, kind in kinds.items():
        value = raw.get(name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            wanted = getattr(kind, "__name__", str(kind).replace("None", "null"))
            raise UserError(f"{where}: {name} is {value!r}; expected {wanted}.")
    stage, success = raw.get("stage"), raw["success"]
    if stage is not None and stage not in STAGES:
        raise UserError(f"{where}: no stage {stage!r}. {nearest(stage, STAGES)}")
    if stage is not None and (stage == "success") != success:
        raise UserError(f"{where}: stage {stage!r} contradicts success {success}.")
    if raw.get("error") is not None and success:
        raise UserError(f"{where}: it was stopped by an error and yet counts as a success.")
    return Episode(**{name: raw[name] for name in kinds if raw.get(name) is not None})
