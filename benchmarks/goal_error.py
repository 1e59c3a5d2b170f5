"""How far off are the goals a policy foretells, on demonstrations that it was not trained on?

    python benchmarks/goal_error.py POLICY DATASET... --json benchmarks/results/goal_error.json

The next keyframe (the grasp, then the release) as the head `goals` foretells it from pictures and
proprioception, against where the demonstration's hand came to rest then: on the ground, in height,
and in heading. First frames apart, for there nothing but the picture tells what is to be grasped;
of the later ones those at which something is held once more by themselves: there the goal is where
it is let go. A dataset that shares an episode's seed with what was trained on is refused.
"""

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro
from _versions import made_with
from tyro.conf import Positional

from robowm.artefact import directory_sha256, write_json
from robowm.episodes import Episodes
from robowm.errors import UserError
from robowm.latent.reality.truth import column_names
from robowm.policy.eye import place_columns
from robowm.policy.goal_decoder import GoalDecoder
from robowm.policy.keyframes import first_grip, next_keyframes, opened, released
from robowm.policy.lerobot_controller import LeRobotController, load_controller
from robowm.policy.so_far import SoFar
from robowm.policy.turning import directions_of
from robowm.train.rest import at_rest

EVERY = 5  # of the frames after the first


@dataclass(frozen=True)
class Args:
    """Flags."""

    policy: Positional[Path]
    """policy directory with the head `goals`"""
    datasets: Positional[Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DATASET...")]]
    """demonstrations to compare with"""
    json: Path
    """result"""


def main(args: Args) -> None:
    """Measure and write."""
    controller = load_controller(str(args.policy))
    if not isinstance(controller.policy.decoder, GoalDecoder):
        raise SystemExit(f"{args.policy} has no goals; expected a policy with --action-head goals.")
    refuse_shared(args.policy, args.datasets)
    found = {path.name: errors(controller, Episodes(path)) for path in args.datasets}
    for name, rows in found.items():
        print(name, json.dumps(rows["first"]["median"]))
    write_json(
        args.json,
        {
            "command": "python benchmarks/goal_error.py " + shlex.join(sys.argv[1:]),
            "policy_sha256": directory_sha256(args.policy),
            "datasets": {path.name: directory_sha256(path) for path in args.datasets},
            "errors": found,
            **made_with("robowm", "torch", "lerobot"),
        },
    )


def refuse_shared(policy: Path, datasets: tuple[Path, ...]) -> None:
    """Raise UserError where a dataset has an episode of the same suite and seed as the training."""
    settings = json.loads((policy / "robowm.json").read_text())["settings"]
    config = settings["config"]
    paths = [*settings["datasets"], *config.get("video", ()), *config.get("other_video", ())]
    trained = {pair for path in paths for pair in seeds(path)}
    for path in datasets:
        shared = sorted(trained & set(seeds(path)))
        if shared:
            raise UserError(
                f"{path}: seeds {[seed for _, seed in shared][:5]} were trained on; expected "
                "demonstrations that were not. Record some with another --seed."
            )


def seeds(dataset: Path | str) -> list[tuple[str, int]]:
    """(suite, seed) of its episodes, where it was recorded in a simulator."""
    card = Path(dataset) / "robowm.json"
    if not card.exists():
        return []
    facts = json.loads(card.read_text())
    return [(facts["settings"].get("suite", ""), seed) for seed in facts.get("seeds", [])]


def errors(controller: LeRobotController, demos: Episodes) -> dict[str, Any]:
    """Medians and 90th percentiles at the first frames, at later ones, and at those of these at
    which something is held."""
    rows: dict[str, list[list[float]]] = {"first": [], "later": [], "held": []}
    for episode in range(len(demos)):
        state = demos.column("observation.state", episode)
        names = column_names(demos, "observation.state")
        places, count = state[:, place_columns(names)], len(state)
        rest = at_rest(places, np.zeros(count, int), np.full(count, count), demos.fps)
        gripper = demos.column("action", episode)[:, -1]
        gripper = -gripper if controller.policy.config.closes_upwards else gripper
        ahead, let_go = rest[next_keyframes(gripper, 1)], released(gripper)
        gripped = np.arange(count) > (first_grip(opened(gripper)) or count)
        frames = demos.frames(episode, demos.camera())
        for row in range(0, len(state), EVERY):
            so_far = SoFar(gripped=bool(gripped[row]), released=bool(let_go[row]))
            goal = foretold(controller, frames, state, row, demos.tasks[episode], so_far)
            off = difference(goal, state[ahead[row, 0]], names)
            rows["first" if row == 0 else "later"].append(off)
            if so_far.gripped and not so_far.released:
                rows["held"].append(off)
    what_is_off = ("ground_cm", "height_cm", "heading_deg")
    return {
        when: {"frames": len(values)}
        | {
            what: dict(
                zip(what_is_off, np.quantile(values, share, axis=0).round(2).tolist(), strict=True)
            )
            for what, share in (("median", 0.5), ("p90", 0.9))
        }
        for when, values in rows.items()
        if values
    }


def foretold(
    controller: LeRobotController,
    frames: np.ndarray,
    state: np.ndarray,
    row: int,
    task: str,
    so_far: SoFar,
) -> np.ndarray:
    """The first subgoal (S,) at one frame, in the robot's units."""
    policy = controller.policy
    moments = np.maximum(np.arange(row + 1 - policy.config.n_obs_steps, row + 1), 0)
    pictures = torch.from_numpy(frames[moments]).permute(0, 3, 1, 2).float()[None] / 255
    batch = {
        policy.config.camera: pictures,
        "observation.state": torch.from_numpy(state[moments])[None],
        "task": [task],
    }
    goals = policy.foretell(controller.pre(batch), [so_far])
    normaliser = next(step for step in controller.pre.steps if hasattr(step, "norm_map"))
    stats = normaliser._tensor_stats["observation.state"]
    return np.asarray((goals[0, 0].cpu() * stats["std"].cpu() + stats["mean"].cpu()).numpy())


def difference(one: np.ndarray, other: np.ndarray, names: list[str]) -> list[float]:
    """Centimetres on the ground, centimetres in height, degrees about the vertical."""
    x, y, z = place_columns(names)
    ground = np.hypot(one[x] - other[x], one[y] - other[y])
    across = directions_of(names)[-1]  # the axis in which the fingers close
    turned = [np.arctan2(state[across[1]], state[across[0]]) for state in (one, other)]
    away = (turned[0] - turned[1] + np.pi) % (2 * np.pi) - np.pi
    return [float(v) for v in (100 * ground, 100 * abs(one[z] - other[z]), abs(np.degrees(away)))]


if __name__ == "__main__":
    main(tyro.cli(Args))
