import numpy as np
import pytest

from robowm.robot.arm import Arm
from robowm.robot.gate import CommandGate, GateCode
from robowm.robot.loop import LoopConfig, LoopStats, Tick, run_loop


@pytest.fixture
def drive(robot, profile, clock):
    """Runs a controller on the emulated arm: its stats, its ticks and what was sent."""
    robot.connect()
    ticks: list[Tick] = []
    sent: list[np.ndarray] = []
    send = robot.send_action
    robot.send_action = lambda action: sent.append(np.array(list(action.values()))) or send(action)

    def run(controller, count=60, **settings) -> tuple[LoopStats, list[Tick], np.ndarray]:
        controller.reset(0, 0)
        controller.reset(0, 0)
        config = LoopConfig(profile.control_hz, count, **settings)
        arm, gate = Arm(robot, clock), CommandGate(profile.gate)
        stats = run_loop(arm, controller, gate, config, clock, ticks.append)
        return stats, ticks, np.array(sent)

    yield run
    robot.disconnect()


def test_deadlines_are_absolute_so_late_ticks_do_not_add_up(drive, clock, asks) -> None:
    def slow(tick: int, state: np.ndarray) -> np.ndarray:
        clock.time_s += 0.010 + 0.030 * (tick % 10 == 0)  # now and then longer than a period
        return state

    stats, ticks, _ = drive(asks(slow), count=301)
    assert len(ticks) == 301 and stats.missed == 0
    assert stats.began_s[-1] - stats.began_s[0] == pytest.approx(10.0, abs=0.011)
    assert max(stats.lateness_s) == pytest.approx(0.040 - 1 / 30, abs=1e-6)


def test_missed_ticks_are_counted_and_never_caught_up(drive, clock, asks) -> None:
    def stalls(tick: int, state: np.ndarray) -> np.ndarray:
        clock.time_s += 0.2 if tick == 5 else 0.001
        return state

    stats, ticks, sent = drive(asks(stalls))
    assert stats.missed == 5 and len(ticks) == 55 and len(sent) == 56
    assert np.diff(stats.began_s).min() > 0.9 / 30


def test_a_command_from_an_old_observation_is_refused(drive, clock, asks) -> None:
    def thinks(tick: int, state: np.ndarray) -> np.ndarray:
        clock.time_s += 0.3 if tick == 5 else 0.0
        return state + 2

    _, ticks, sent = drive(asks(thinks), max_age_s=0.25)
    stale = [i for i, tick in enumerate(ticks) if tick.result.code & GateCode.STALE]
    assert stale == [5]
    assert (sent[5] == sent[4]).all()


def test_a_dry_run_sends_nothing_and_says_what_it_would_have_done(drive, asks) -> None:
    _, ticks, sent = drive(asks(lambda tick, state: state + 10), dry_run=True)
    assert len(sent) == 0
    assert all((tick.sent == ticks[0].sent).all() for tick in ticks)
    assert ticks[0].result.code & GateCode.STEP
    assert np.ptp([tick.reading.measured for tick in ticks], axis=0).max() < 1.0


@pytest.mark.parametrize("end", [KeyboardInterrupt(), ZeroDivisionError("policy")])
def test_however_it_ends_the_last_command_is_held(drive, asks, end) -> None:
    def fails(tick: int, state: np.ndarray) -> np.ndarray:
        if tick == 20:
            raise end
        return state + 2

    stats, ticks, sent = drive(asks(fails))
    assert len(ticks) == 20 and len(sent) == 21
    assert (sent[-1] == sent[-2]).all()
    assert stats.stopped == ("interrupted" if stats.error is None else f"error: {end!r}")
    assert (stats.error is end) == isinstance(end, Exception)


def test_lost_observations_hold_the_arm_and_in_a_row_end_the_run(drive, robot, asks) -> None:
    reads, read = 0, robot.get_observation

    def drops_packets() -> dict:
        nonlocal reads
        reads += 1
        if reads == 10 or reads > 20:
            raise ConnectionError("no status packet")
        return read()

    robot.get_observation = drops_packets
    stats, ticks, sent = drive(asks(lambda tick, state: state + 2))
    lost = [i for i, tick in enumerate(ticks) if tick.result.code & GateCode.MEASUREMENT]
    assert lost == [8, *range(19, 34)]  # the first read was before the first tick
    assert (sent[8] == sent[7]).all() and (sent[19:] == sent[18]).all()
    assert ticks[8].reading is ticks[7].reading and ticks[8].requested is None
    assert stats.stopped.startswith("fault: 15 commands in a row refused")
