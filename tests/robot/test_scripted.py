import numpy as np

from robowm.robot.arm import Arm
from robowm.robot.fit import make_controller
from robowm.robot.gate import CommandGate
from robowm.robot.loop import LoopConfig, run_loop


def sweep(robot, profile, clock, seed: int, policy: str = "scripted", seconds: float = 20):
    """Measured and sent positions (T, A), and the gate."""
    arm, gate, ticks = Arm(robot, clock), CommandGate(profile.gate), []
    controller = make_controller(policy, arm, profile, seed)
    robot.connect()
    config = LoopConfig(profile.control_hz, int(seconds * profile.control_hz))
    run_loop(arm, controller, gate, config, clock, ticks.append)
    robot.disconnect()
    return np.array([t.reading.measured for t in ticks]), np.array([t.sent for t in ticks]), gate


def test_the_sweep_visits_every_pose_smoothly_and_never_troubles_the_gate(
    robot, profile, clock
) -> None:
    measured, sent, gate = sweep(robot, profile, clock, seed=0)
    away = np.abs(measured[:, None] - np.array(profile.poses)[None]).max(axis=-1)
    assert (away.min(axis=0) < 12).all()
    assert not gate.counts
    velocity = np.diff(sent, axis=0)
    assert (np.abs(velocity) <= 0.45 * gate.max_step).all()
    assert (np.abs(np.diff(velocity, axis=0)) <= 0.25 * gate.max_step).all()


def test_the_same_seed_sweeps_the_same_way_and_another_differently(robot, profile, clock) -> None:
    first, again, other = (sweep(robot, profile, clock, seed, seconds=3)[0] for seed in (1, 1, 2))
    assert np.abs(first - again).max() < 1e-6
    assert np.abs(first - other).max() > 2


def test_null_holds_where_the_arm_stood(robot, profile, clock) -> None:
    measured, sent, _ = sweep(robot, profile, clock, seed=0, policy="null")
    assert (sent == sent[0]).all()
    assert np.abs(measured - measured[0]).max() < 0.5


def test_a_nearest_neighbour_learns_the_sweep_from_twenty_seconds_of_it(
    robot, profile, clock
) -> None:
    measured, sent, _ = sweep(robot, profile, clock, seed=0)
    horizon = 8
    chunks = np.stack([sent[i : i + horizon] for i in range(len(sent) - horizon)])

    class Neighbour:
        action_dim = 6

        def reset(self, slot: int, seed: int) -> None:
            self.queue: list[np.ndarray] = []

        def act(self, slots, observations) -> np.ndarray:
            if not self.queue:
                distance = np.square(measured[:-horizon] - observations[0].state).sum(axis=1)
                self.queue = list(chunks[np.argsort(distance)[:5]].mean(axis=0))
            return self.queue.pop(0)[None]

    learnt, _, gate = sweep(robot, profile, clock, seed=0, policy=Neighbour())
    away = np.abs(learnt[:, None] - np.array(profile.poses)[None]).max(axis=-1)
    assert (away.min(axis=0) < 15).all()
    assert (np.diff(np.sign(learnt[:, 0])) != 0).sum() >= 6  # three rounds: it does not get stuck
    assert not gate.counts
