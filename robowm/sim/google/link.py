"""The original SIMPLER in a process of its own, behind two calls."""

import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from robowm.sim.google import worker

CLOSING_S = 5.0
TAIL_BYTES = 4000


@dataclass(frozen=True)
class Seen:
    """What the original shows and says after a reset or a step.

    Attributes:
        frame: uint8 (512, 640, 3) RGB of the robot's head camera, over the photograph.
        base, hand: float64 (7,), poses in the world of the robot's base and of the point between
            the finger tips: metres, then a quaternion w, x, y, z.
        closed: how far the gripper is closed, 0 to 1.
        text: the instruction now.
        success: the task's criterion holds now.
        stats: the original's infos and its `episode_stats`, those that are numbers.
    """

    frame: np.ndarray
    base: np.ndarray
    hand: np.ndarray
    closed: float
    text: str
    success: bool
    stats: dict[str, float]


class Simulator:
    """A running `worker`; it ends when this is closed, or when this process ends in any way.

    Args:
        python: the interpreter that has the original.
    """

    def __init__(self, python: str) -> None:
        # what it prints is looked at if it dies; it is closed with the process
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            # isolated: PYTHONPATH is meant for this interpreter, not for that one
            [python, "-I", str(Path(worker.__file__).resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            start_new_session=True,  # Ctrl-C is for this process, which then closes that one
        )

    def reset(self, env_id: str, build: dict[str, Any], options: dict[str, Any]) -> Seen:
        """Build an environment and begin an episode in it.

        Raises:
            RuntimeError: the original raised, or its process died; with its own words.
        """
        return self._ask({"ask": "reset", "env_id": env_id, "build": build, "options": options})

    def step(self, action: np.ndarray) -> Seen:
        """One control step; action float (7,) as the original takes it. Raises as `reset` does."""
        return self._ask({"ask": "step", "action": [float(number) for number in action]})

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin and self._process.stdout
        with suppress(OSError):  # it is dead already
            self._process.stdin.close()
        try:
            self._process.wait(CLOSING_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._said.close()

    def _ask(self, request: dict[str, Any]) -> Seen:
        assert self._process.stdin and self._process.stdout
        try:
            worker.send(self._process.stdin, request)
            answer = worker.receive(self._process.stdout)
        except OSError:
            answer = None
        if answer is None:
            raise RuntimeError(self._death())
        header, body = answer
        if "error" in header:
            raise RuntimeError(f"the original SIMPLER raised {header['error']}")
        return Seen(
            frame=np.frombuffer(body, np.uint8).reshape(header["shape"]),
            base=np.array(header["base"]),
            hand=np.array(header["hand"]),
            **{name: header[name] for name in ("closed", "text", "success", "stats")},
        )

    def _death(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(CLOSING_S)
        size = self._said.seek(0, 2)
        self._said.seek(max(0, size - TAIL_BYTES))
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        last = f": {lines[-1]}" if lines else ""
        return f"the original SIMPLER's process ended with code {self._process.poll()}{last}"
