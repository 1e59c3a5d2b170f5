"""Does this policy fit this arm? Answered before anything is connected."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from robowm.errors import UserError
from robowm.policy.controller import Controller
from robowm.policy.find import find_policy
from robowm.robot.arm import Arm
from robowm.robot.loop import SLOT
from robowm.robot.profile import RobotProfile
from robowm.robot.scripted import HoldController, ScriptedController, SweepConfig

LARGEST_LOG_BYTES = 2 * 1024**3
SWEEP_SPEED = 0.4  # of the fastest the gate allows


def check_run(arm: Arm, profile: RobotProfile, seconds: float, episode_s: float) -> None:
    """Raises UserError unless the profile describes the arm and the log fits into memory."""
    joints = [joint.name for joint in profile.joints]
    if joints != arm.joints:
        raise UserError(
            f"robot {profile.name} commands the joints {', '.join(arm.joints)}; its profile "
            f"expected {', '.join(joints)}, in this order."
        )
    for what, value in (("seconds", seconds), ("episode-s", episode_s)):
        if not (math.isfinite(value) and value * profile.control_hz >= 1):
            raise UserError(
                f"--{what} {value:g}: expected seconds, at least one tick "
                f"({1 / profile.control_hz:.3f} s)."
            )
    frame_bytes = sum(math.prod(shape) for shape in arm.cameras.values())
    bytes_s = frame_bytes * profile.control_hz
    if seconds * bytes_s > LARGEST_LOG_BYTES:
        raise UserError(
            f"--seconds {seconds:g} would keep {seconds * bytes_s / 1e9:.1f} GB of pictures in "
            f"memory until the arm stops; allowed: up to {LARGEST_LOG_BYTES // bytes_s} seconds."
        )


def make_controller(
    policy: str | Path | Controller, arm: Arm, profile: RobotProfile, seed: int
) -> Controller:
    """The controller that `policy` means, tried once on a blank observation.

    Args:
        policy: a policy directory or Hub id, "null", "scripted", or a controller.

    Raises:
        UserError: there is none of that name, or it does not fit the arm.
    """
    controller = _named(policy, arm, profile) if isinstance(policy, str | Path) else policy
    width = len(arm.joints)
    if controller.action_dim != width:
        raise UserError(
            f"policy gives {controller.action_dim} actions; expected {width}, one for each joint "
            f"of {profile.name}: {', '.join(arm.joints)}."
        )
    # A first answer is slow (memory, kernels, compilation) and may not fit: now, not on the arm.
    controller.reset(SLOT, seed)
    middle = [(joint.lower + joint.upper) / 2 for joint in profile.joints]
    state = np.zeros(len(arm.state))
    state[arm.in_state] = middle
    answer = np.asarray(controller.act([SLOT], [arm.blank(state).observation("")]))
    if answer.shape != (1, width):
        raise UserError(f"policy answered with shape {answer.shape}; expected (1, {width}).")
    controller.reset(SLOT, seed)
    return controller


def _named(policy: str | Path, arm: Arm, profile: RobotProfile) -> Controller:
    if policy == "null":
        return HoldController(arm.in_state)
    if policy == "scripted":
        return _scripted(arm, profile)
    folder = find_policy(policy, ("null", "scripted"))
    _check_features(folder, arm, profile)
    from robowm.policy.lerobot_controller import load_controller

    controller: Controller = load_controller(folder)
    return controller


def _scripted(arm: Arm, profile: RobotProfile) -> ScriptedController:
    if len(profile.poses) < 3:
        raise UserError(
            f"robot {profile.name} has {len(profile.poses)} poses for the scripted sweep; "
            "expected three or more in its recipe."
        )
    speed = tuple(SWEEP_SPEED * joint.max_velocity for joint in profile.joints)
    return ScriptedController(SweepConfig(profile.poses, speed, profile.control_hz), arm.in_state)


def _check_features(folder: Path, arm: Arm, profile: RobotProfile) -> None:
    """Compares what the policy's config.json declares with what the arm has."""
    try:
        config = json.loads((folder / "config.json").read_text())
        inputs, outputs = config["input_features"], config["output_features"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder} is not a policy directory: expected a config.json with input_features and "
            "output_features, as LeRobot writes it."
        ) from error
    trained_hz = config.get("control_hz", profile.control_hz)
    if trained_hz != profile.control_hz:
        raise UserError(
            f"policy {folder} was trained on demonstrations at {trained_hz:g} Hz; expected "
            f"{profile.control_hz:g} Hz, the rate of robot {profile.name}: it would move at the "
            "wrong speed."
        )
    _check_camera(folder, inputs, arm, profile)
    for key, feature, have in (
        ("observation.state", inputs.get("observation.state"), len(arm.state)),
        ("action", outputs.get("action"), len(arm.joints)),
    ):
        if feature is not None and list(feature["shape"]) != [have]:
            raise UserError(
                f"policy {folder} has {key} of shape {feature['shape']}; expected [{have}], "
                f"as robot {profile.name} has."
            )


def _check_camera(
    folder: Path, inputs: dict[str, dict[str, Any]], arm: Arm, profile: RobotProfile
) -> None:
    """A policy looks through its first camera, and is given the arm's first."""
    wanted = [(k, tuple(f["shape"][-2:])) for k, f in inputs.items() if f.get("type") == "VISUAL"]
    have = [(f"observation.images.{k}", shape[:2]) for k, shape in arm.cameras.items()]
    if wanted and not have:
        raise UserError(f"policy {folder} needs a camera; robot {profile.name} has none.")
    if wanted and wanted[0] != have[0]:
        (name, (height, width)), (ours, (rows, columns)) = wanted[0], have[0]
        raise UserError(
            f"policy {folder} was trained on {name} {height}x{width} pixels; robot {profile.name} "
            f"gives {ours} {rows}x{columns}. Expected the camera and size of its demonstrations."
        )
