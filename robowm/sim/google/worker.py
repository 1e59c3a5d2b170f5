"""The far end of `link.Simulator`: the original SIMPLER, in an interpreter that has it.

That interpreter runs this file as a script (Python 3.10 or newer, numpy, and the original), so
nothing of robowm may be imported here and nothing be written that 3.10 cannot read.

A message is the length of a header (4 bytes, big-endian), the header (JSON), and as many raw bytes
as its `body_bytes` says. Asked `reset` (`env_id`, `build`, `options`) or `step` (`action`), it
answers what `_seen` gives, with the frame as the body, or an `error`. The input's end is its end.
"""

import importlib.metadata
import importlib.util
import json
import os
import platform
import struct
import sys
from typing import IO, Any

LENGTH = struct.Struct(">I")
CAMERA = "overhead_camera"  # the robot's head, 640 x 512
MODULES = ("mani_skill2_real2sim", "gymnasium", "sapien", "numpy")


def send(pipe: IO[bytes], header: dict[str, Any], body: bytes = b"") -> None:
    """Write one message."""
    text = json.dumps({**header, "body_bytes": len(body)}).encode()
    pipe.write(LENGTH.pack(len(text)) + text)
    pipe.write(body)
    pipe.flush()


def receive(pipe: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """Read one message: header and body; None: the other end has closed."""
    length = pipe.read(LENGTH.size)
    if len(length) < LENGTH.size:
        return None
    text = pipe.read(*LENGTH.unpack(length))
    try:
        header = json.loads(text)
    except ValueError:  # cut short
        return None
    body = pipe.read(header["body_bytes"])
    return (header, body) if len(body) == header["body_bytes"] else None


def versions() -> dict[str, str | None]:
    """Of Python and of each of MODULES; None: not there, "unknown": there, but not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in MODULES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "unknown" if importlib.util.find_spec(name) else None
    return found


def draw() -> None:
    """Raise what SAPIEN raises where it finds nothing to draw with."""
    import sapien.core

    sapien.core.SapienRenderer(offscreen_only=True)


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer until the requests end."""
    import numpy as np

    env: Any = None
    while (message := receive(requests)) is not None:
        request, _ = message
        try:
            if request["ask"] == "reset":
                # a new one for each episode, as the original's own evaluation does
                if env is not None:
                    env.close()
                env = _make(request["env_id"], request["build"])
                observation, _ = env.reset(options=request["options"])
                info: dict[str, Any] = {}
            else:
                action = np.array(request["action"], np.float64)
                observation, _, _, _, info = env.step(action)
            answer = _seen(env.unwrapped, observation, info)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}, b""
        send(answers, *answer)


def _make(env_id: str, build: dict[str, Any]) -> Any:
    import gymnasium
    import mani_skill2_real2sim.envs  # noqa: F401  registers the environments

    return gymnasium.make(env_id, **build)


def _seen(world: Any, observation: Any, info: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """What the environment shows now, and its frame, uint8 RGB of `shape`.

    `base` and `hand` are poses in the world: x, y, z in metres, then a quaternion w, x, y, z.
    """
    frame = observation["image"][CAMERA]["rgb"]
    poses = {"base": world.agent.robot.pose, "hand": world.tcp.pose}
    header = {
        **{name: [float(v) for v in (*pose.p, *pose.q)] for name, pose in poses.items()},
        "shape": frame.shape,
        "closed": float(world.agent.get_gripper_closedness()),
        "text": world.get_language_instruction(),
        "success": bool(info.get("success", False)),
        "stats": _numbers({**info, **info.get("episode_stats", {})}),
    }
    return header, frame.tobytes()


def _numbers(stats: dict[str, Any]) -> dict[str, float]:
    """Those that are numbers; the original writes some as text."""
    found = {}
    for name, value in stats.items():
        try:
            found[name] = float(value)
        except (TypeError, ValueError):
            continue
    return found


if __name__ == "__main__":
    if sys.argv[1:] == ["--versions"]:
        print(json.dumps(versions()))
    elif sys.argv[1:] == ["--draw"]:
        draw()
    else:
        answers = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)  # what the simulator prints must not get between the answers
        serve(sys.stdin.buffer, answers)
