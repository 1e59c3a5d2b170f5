import math

import numpy as np
import pytest

from robowm.errors import UserError
from robowm.robot.gate import CommandGate, GateCode, GateConfig, Joint
from robowm.robot.profile import RobotProfile

HZ = 30.0
DEG = Joint("a", "deg", -100, 100, 2, 90, 20, 60)
JOINTS = (
    DEG,
    Joint("b", "deg", -10, 40, 0, 30, 5, 30),
    Joint("g", "%", 0, 100, 0, 200, math.inf, 150),
)
LOWER, UPPER = np.array([-100, -10, 0.0]), np.array([100, 40, 100.0])
START = np.array([0.0, 10.0, 50.0])


def gate(refusals_to_fault: int = 15) -> CommandGate:
    begun = CommandGate(GateConfig(JOINTS, HZ, refusals_to_fault))
    begun.begin(START)
    return begun


def hostile(rng: np.random.Generator, held: np.ndarray) -> tuple[object, object]:
    """A request and a measurement, of the kinds that have broken arms."""
    measured: list[object] = [
        held + rng.normal(0, 2, 3),
        held + rng.normal(0, 100, 3),
        np.array([math.nan, 1, 2]),
        np.array([1e308, -1e308, math.inf]),
        None,
    ]
    requested: list[object] = [
        held + rng.normal(0, 3, 3),
        held + rng.normal(0, 40, 3),
        rng.uniform(-200, 200, 3),
        np.where(rng.random(3) < 0.5, LOWER, UPPER) * rng.choice([-1, 1, 1.001, 5]),
        np.full(3, math.nan),
        np.array([1, math.inf, -math.inf]),
        np.array([1e308, -1e308, 1e-308]),
        np.float32([3e38, -3e38, 0]),
        np.zeros(2),
        np.zeros((1, 3)),
        np.array(7.0),
        [[1], [2, 3]],
        ["a", "b", "c"],
        None,
    ]
    if rng.random() < 0.6:  # mostly near, so that the arm travels to its limits
        return requested[int(rng.integers(3))], measured[0]
    return requested[int(rng.integers(len(requested)))], measured[int(rng.integers(len(measured)))]


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_asked_the_command_is_finite_within_limits_and_one_step_away(seed: int) -> None:
    rng = np.random.default_rng(seed)
    guarded = gate(refusals_to_fault=10**9)
    last, reached = START, START.copy()
    for _ in range(3000):
        requested, measured = hostile(rng, last)
        result = guarded.check(requested, measured)
        assert np.isfinite(result.sent).all()
        assert (result.sent >= LOWER).all() and (result.sent <= UPPER).all()
        assert (np.abs(result.sent - last) <= guarded.max_step + 1e-9).all()
        if result.refused:
            assert (result.sent == last).all()
        if result.code == GateCode.CLEAN:
            assert (result.sent == requested).all() and not result.changed.any()
        last, reached = result.sent, np.maximum(reached, np.abs(result.sent))
    assert reached[0] > 30  # the test drove the joint about, it did not merely hold it
    assert guarded.counts[GateCode.STEP] and guarded.counts[GateCode.POSITION]
    assert guarded.counts[GateCode.NONFINITE] and guarded.counts[GateCode.SHAPE]


def test_alternation_between_extremes_moves_no_faster_than_the_step() -> None:
    guarded, sent = gate(), []
    for tick in range(300):
        requested = guarded.held + np.array([59, 29, 149]) * (-1) ** tick
        sent.append(guarded.check(requested, guarded.held).sent)
    assert (np.abs(np.diff(sent, axis=0)) <= guarded.max_step + 1e-9).all()
    assert np.ptp(np.array(sent), axis=0).max() <= guarded.max_step.max() + 1e-9


def test_clean_commands_pass_untouched() -> None:
    guarded = gate()
    asked = START + np.array([1, -0.5, 3])
    result = guarded.check(asked, START)
    assert (result.sent == asked).all() and result.code == GateCode.CLEAN and not guarded.counts


@pytest.mark.parametrize(
    ("asked", "measured", "code"),
    [
        (np.zeros(4), START, GateCode.SHAPE),
        (START + np.array([math.nan, 0, 0]), START, GateCode.NONFINITE),
        (START + np.array([0, -math.inf, 0]), START, GateCode.NONFINITE),
        (START + np.array([61, 0, 0]), START, GateCode.JUMP),
        (START, START * math.nan, GateCode.MEASUREMENT),
        (START + np.array([0, 0, 20]), START, GateCode.STEP),
        (START + np.array([1, 0, 0]), START + np.array([25, 0, 0]), GateCode.LEAD | GateCode.STEP),
    ],
)
def test_each_reason_has_its_code(asked: np.ndarray, measured: np.ndarray, code: GateCode) -> None:
    assert gate().check(asked, measured).code == code


def test_commands_stop_at_the_soft_margin_and_from_within_it_go_only_inwards() -> None:
    guarded = CommandGate(GateConfig((DEG,), HZ))
    guarded.begin(np.array([97.0]))
    result = guarded.check(np.array([99.0]), np.array([97.0]))
    assert result.sent == [98.0] and result.code == GateCode.POSITION
    guarded.begin(np.array([99.5]))
    assert guarded.check(np.array([100.0]), np.array([99.5])).sent == [99.5]
    assert guarded.check(np.array([99.0]), np.array([99.5])).sent == [99.0]
    assert guarded.check(np.array([99.4]), np.array([99.0])).sent == [99.0]


def test_a_blocked_arm_is_not_led_away_from() -> None:
    guarded = gate()
    for _ in range(100):
        result = guarded.check(guarded.held + np.array([3, 0, 0]), START)
    assert result.sent[0] == pytest.approx(START[0] + DEG.max_lead)
    assert result.code & GateCode.LEAD


def test_refusals_in_a_row_latch_a_fault_that_only_begin_clears() -> None:
    guarded, nan = gate(refusals_to_fault=3), np.full(3, math.nan)
    for _ in range(2):
        guarded.check(nan, START)
    assert guarded.check(START, START).code == GateCode.CLEAN  # in a row: a good one starts anew
    for _ in range(3):
        result = guarded.check(nan, START)
    assert result.code == GateCode.NONFINITE | GateCode.FAULT
    assert "NONFINITE" in guarded.fault
    held = guarded.check(START + np.array([1, 0, 0]), START)
    assert held.refused and (held.sent == START).all() and held.code == GateCode.FAULT
    guarded.begin(START)
    assert guarded.check(START + np.array([1, 0, 0]), START).code == GateCode.CLEAN


@pytest.mark.parametrize("position", [-103.5, 150.0, math.nan, math.inf])
def test_an_arm_outside_its_limits_is_not_started(position: float) -> None:
    with pytest.raises(UserError, match=r"joint a stands at .*expected -100 to 100"):
        CommandGate(GateConfig((DEG,), HZ)).begin(np.array([position]))


def test_an_arm_resting_a_little_beyond_its_limit_is_commanded_to_the_limit() -> None:
    assert CommandGate(GateConfig((DEG,), HZ)).begin(np.array([102.0])) == [100.0]


def test_no_command_before_begin() -> None:
    with pytest.raises(RuntimeError, match="begin"):
        CommandGate(GateConfig((DEG,), HZ)).check(np.zeros(1), np.zeros(1))


@pytest.mark.parametrize(
    "joint",
    [
        Joint("a", "deg", 10, -10, 0, 90, 20, 60),
        Joint("a", "deg", -10, 10, 10, 90, 20, 60),
        Joint("a", "deg", -10, math.inf, 1, 90, 20, 60),
        Joint("a", "deg", -10, 10, 1, math.inf, 20, 60),
        Joint("a", "deg", -10, 10, 1, 90, math.nan, 60),
    ],
)
def test_limits_that_guard_nothing_are_refused(joint: Joint) -> None:
    with pytest.raises(ValueError, match="a: "):
        CommandGate(GateConfig((joint,), HZ))


def test_the_arm_everybody_has_is_guarded_to_ninety_degrees_a_second(profile: RobotProfile) -> None:
    assert CommandGate(profile.gate).max_step.tolist() == [3, 3, 3, 4, 4, pytest.approx(20 / 3)]
