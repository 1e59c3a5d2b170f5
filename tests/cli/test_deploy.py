import pytest

from robowm.__main__ import main
from robowm.cli.deploy import _gate
from robowm.robot.gate import MEANING, GateCode


def test_an_unknown_robot_is_named_with_its_nearest(capsys, tmp_path) -> None:
    words = ["deploy", "null", "--robot", "so101_emulate", "--seconds", "1"]
    assert main([*words, "--out", str(tmp_path / "log")]) == 2
    said = capsys.readouterr().err
    assert "Did you mean 'real_robot/so101_emulated'?" in said and said.count("\n") == 1
    assert not any(tmp_path.iterdir())


def test_the_real_arm_wants_a_port_and_the_emulated_one_none(capsys, tmp_path) -> None:
    out = ["--seconds", "1", "--out", str(tmp_path / "log")]
    assert main(["deploy", "null", "--robot", "so101", *out]) == 2
    assert "--port is missing" in capsys.readouterr().err
    assert main(["deploy", "null", "--robot", "so101_emulated", "--port", "x", *out]) == 2
    assert "has no port" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_real_arm_names_the_extra_it_needs(capsys, tmp_path) -> None:
    pytest.importorskip("lerobot")
    try:
        import scservo_sdk  # noqa: F401
    except ImportError:
        words = ["deploy", "null", "--robot", "so101", "--port", "/dev/ttyACM9", "--seconds", "1"]
        assert main([*words, "--out", str(tmp_path / "log")]) == 2
        assert "lerobot[feetech]" in capsys.readouterr().err
    else:
        pytest.skip("the servo packages are installed")


def test_a_second_in_real_time_prints_rate_gate_and_log(capsys, tmp_path) -> None:
    out = tmp_path / "log"
    words = ["deploy", "null", "--robot", "so101_emulated", "--seconds", "1", "--out", str(out)]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "emulated arm (physics simulation), not hardware" in said
    assert "of 30 Hz" in said and "missed" in said and f"log       {out}" in said
    assert "gate      no command was changed" in said
    assert main(words) == 0
    assert "the arm did not move" in capsys.readouterr().out


def test_every_reason_of_the_gate_is_in_words() -> None:
    assert set(MEANING) == set(GateCode) - {GateCode.CLEAN}
    assert _gate({"JUMP": 1, "STEP": 203}, 233) == [
        "JUMP in 1 of 233 ticks: refused, too far from the command before it",
        "STEP in 203 of 233 ticks: narrowed, faster than a joint may move",
    ]
