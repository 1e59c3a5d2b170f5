"""Environments side by side, each in a process that may die without taking the others along."""

import signal
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from inspect import signature
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Protocol

import numpy as np

from robowm.errors import UserError
from robowm.sim.workers import one_thread_each, serve_parent

SILENCE_S = 900.0  # a worker that says nothing for so long is taken for dead
CLOSING_S = 5.0


class Crashed(Exception):
    """An environment is lost; the text says how."""


@dataclass(frozen=True)
class Step:
    """What an environment said to a reset or a step."""

    observation: dict[str, np.ndarray]
    info: dict[str, Any]
    ended: bool = False


class _Home(Protocol):
    """Where one environment lives."""

    def ask(self, method: str, words: Any, named: Any) -> None: ...

    def answer(self) -> Any: ...

    def close(self) -> None: ...


class EnvPool:
    """`num_envs` environments of one kind, in slots 0 to num_envs - 1.

    A slot whose environment died, raised or fell silent answers `Crashed` to this call and to every
    step until its next reset, which begins in a fresh process. One environment alone lives in this
    process: what it raises is met the same way, but a segmentation fault ends everything.

    Args:
        make: makes an environment; importable, so that worker processes can.
        num_envs: how many.
    """

    def __init__(self, make: Callable[[], Any], num_envs: int) -> None:
        self.num_envs = num_envs
        self._make = make
        self._homes: dict[int, _Home] = {}
        self._lost: dict[int, Crashed] = {}
        spaces = make()  # environments build their simulator at the first reset
        self.single_action_space = spaces.action_space
        self._draws_on_demand = "draw" in signature(spaces.step).parameters
        spaces.close()

    def reset(self, seeds: Mapping[int, int]) -> dict[int, Step | Crashed]:
        """Begin an episode in each slot named, with its seed."""
        for slot in seeds:
            self._lost.pop(slot, None)
            if slot not in self._homes:
                self._homes[slot] = _Here(self._make) if self.num_envs == 1 else _Worker(self._make)
        answers = self._ask_all(
            {slot: ("reset", (), {"seed": seed}) for slot, seed in seeds.items()}
        )
        return {s: a if isinstance(a, Crashed) else Step(*a) for s, a in answers.items()}

    def step(
        self, actions: Mapping[int, np.ndarray], unseen: Collection[int] = ()
    ) -> dict[int, Step | Crashed]:
        """One control step in each slot named.

        Args:
            actions: by slot.
            unseen: slots of which nobody will look at the frame; it is an old one, where drawing it
                anew can be left out.
        """
        skipped = unseen if self._draws_on_demand else ()
        answers = self._ask_all(
            {
                slot: ("step", (action,), {"draw": False} if slot in skipped else {})
                for slot, action in actions.items()
            }
        )
        return {
            s: a if isinstance(a, Crashed) else Step(a[0], a[4], bool(a[2] or a[3]))
            for s, a in answers.items()
        }

    def call(self, method: str, slots: Sequence[int]) -> dict[int, Any]:
        """What a method of each slot's environment returns, or `Crashed`."""
        return self._ask_all({slot: (method, (), {}) for slot in slots})

    def pid(self, slot: int) -> int | None:
        """The process of a slot's environment; None: this one, or none yet."""
        return getattr(self._homes.get(slot), "pid", None)

    def close(self) -> None:
        """End every process."""
        for home in self._homes.values():
            home.close()
        self._homes.clear()

    def _ask_all(self, calls: Mapping[int, tuple[str, Any, Any]]) -> dict[int, Any]:
        for slot, call in calls.items():
            if slot not in self._lost:
                self._homes[slot].ask(*call)
        answers: dict[int, Any] = {}
        for slot in calls:
            if slot not in self._lost:
                try:
                    answers[slot] = self._homes[slot].answer()
                except Crashed as crash:
                    self._lost[slot] = crash
                    self._homes.pop(slot).close()
        return {slot: self._lost.get(slot) or answers[slot] for slot in calls}


class _Resident:
    """Builds its environment when first asked, and answers for it."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._env: Any = None

    def reply(self, method: str, words: Any, named: Any) -> tuple[str, Any]:
        try:
            if self._env is None:
                self._env = self._make()
            return "ok", getattr(self._env, method)(*words, **named)
        except UserError as error:
            return "refused", str(error)
        except Exception as error:
            return "raised", f"the simulator raised {type(error).__name__}: {error}"

    def close(self) -> None:
        if self._env is not None:
            self._env.close()


class _Here(_Resident):
    """An environment in this process."""

    def ask(self, method: str, words: Any, named: Any) -> None:
        self._said = self.reply(method, words, named)

    def answer(self) -> Any:
        return _opened(self._said)


class _Worker:
    """An environment in a process of its own."""

    def __init__(self, make: Callable[[], Any]) -> None:
        context = get_context("spawn")  # a fork would inherit torch's threads, the drawing context
        self._pipe, far_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(make, far_end), daemon=True)
        with one_thread_each():
            self._process.start()
        far_end.close()  # so that the worker's death closes the pipe
        self.pid = self._process.pid

    def ask(self, method: str, words: Any, named: Any) -> None:
        with suppress(OSError):  # dead already: `answer` finds out
            self._pipe.send((method, words, named))

    def answer(self) -> Any:
        try:
            if not self._pipe.poll(SILENCE_S):
                raise Crashed(f"the simulator's process said nothing for {SILENCE_S:.0f} s")
            return _opened(self._pipe.recv())
        except (EOFError, OSError) as error:
            raise self._death() from error

    def close(self) -> None:
        with suppress(OSError):  # it is dead already
            self._pipe.send(None)
            self._process.join(CLOSING_S)
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _death(self) -> Crashed:
        self._process.join(CLOSING_S)
        code = self._process.exitcode
        if code is not None and code < 0:
            return Crashed(f"the simulator's process died of {signal.Signals(-code).name}")
        return Crashed(f"the simulator's process ended with exit code {code}")


def _serve(make: Callable[[], Any], pipe: Connection) -> None:
    serve_parent()
    resident = _Resident(make)
    with suppress(EOFError, OSError):  # the parent has gone
        while (call := pipe.recv()) is not None:
            pipe.send(resident.reply(*call))
    resident.close()


def _opened(answer: tuple[str, Any]) -> Any:
    kind, value = answer
    if kind == "refused":
        raise UserError(value)
    if kind == "raised":
        raise Crashed(value)
    return value
