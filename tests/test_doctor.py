"""The examination: what it finds here is true, and what is planted is found."""

import importlib.metadata
import json

import pytest

from robowm import doctor
from robowm.__main__ import main
from robowm.doctor import Finding


@pytest.fixture(scope="module")
def findings() -> dict[str, Finding]:
    return {finding.part: finding for finding in doctor.examine()}


def test_every_part_is_examined(findings: dict[str, Finding]) -> None:
    parts = "Python platform processor bf16 GPU memory disk EGL OpenCV codecs torchcodec Vulkan"
    assert {*parts.split(), "datasets"} <= findings.keys()
    assert not [f for f in findings.values() if "could not be examined" in f.found]


def test_what_the_tests_need_is_there(findings: dict[str, Finding]) -> None:
    assert [findings[part].state for part in ("Python", "EGL", "OpenCV", "codecs")] == ["ok"] * 4
    assert "writes h264" in findings["codecs"].found


def test_whatever_is_not_ok_has_a_mend(findings: dict[str, Finding]) -> None:
    for finding in findings.values():
        assert bool(finding.mend) == (finding.state != "ok"), finding


def test_bf16_is_measured(findings: dict[str, Finding]) -> None:
    words = findings["bf16"].found
    assert float(words.split("products ")[1].split()[0]) > 0


def test_a_probe_that_dies_is_told_in_one_line() -> None:
    error, said = doctor._child("no_such_probe")
    assert error == "AttributeError: module 'robowm.doctor' has no attribute 'no_such_probe'"
    assert not said


@pytest.mark.parametrize(
    ("requirement", "found"),
    [("numpy>=99", "expected >=99"), ("no-such-package-anywhere>=1", "absent; expected >=1")],
)
def test_wrong_versions_are_found(
    requirement: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: [requirement, "rich>=1"])
    (finding,) = doctor._packages()
    assert finding.state == "missing" and found in finding.found
    assert not doctor.fit([finding])
    assert finding.mend.startswith(f"pip install '{requirement}'")


def test_a_package_of_an_extra_may_be_absent_but_not_of_another_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = ['no-such-package-anywhere>=1; extra == "shots"', 'rich>=99; extra == "vipra"']
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: wanted)
    (finding,) = doctor._packages()
    assert finding.part == "rich" and "expected >=99" in finding.found


def test_two_opencv_versions_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"opencv-python": "4.13.0.92", "opencv-python-headless": "4.12.0.88"}
    monkeypatch.setattr(doctor, "_version", versions.get)
    (finding,) = doctor._opencv()
    assert finding.state == "missing"
    assert "opencv-python==4.12.0.88 opencv-python-headless==4.12.0.88" in finding.mend


def test_a_codec_that_nobody_has_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "DECODERS", ("h264", "h999"))
    codecs = next(doctor._codecs())
    assert codecs.state == "missing" and "no h999 decoder" in codecs.found


def test_little_memory_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "QUICKSTART_MEMORY_GB", 1e6)
    memory, disk = doctor._room()
    assert memory.state == "warn" and "GB" in memory.mend and disk.state == "ok"


def test_a_check_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def _broken() -> list[Finding]:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(doctor, "CHECKS", (_broken,))
    (finding,) = doctor.examine()
    assert "could not be examined: ZeroDivisionError: by zero" in finding.found


def test_only_what_is_required_makes_unfit() -> None:
    optional = Finding("Vulkan", "missing", "none", "apt install it", required=False)
    warning = Finding("memory", "warn", "1 GB", "buy some")
    assert doctor.fit([optional, warning])
    assert not doctor.fit([optional, Finding("EGL", "missing", "none", "apt install it")])


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("missing", 1)])
def test_exit_code_and_json(
    state: doctor.State,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = [Finding("EGL", state, "as planted", "mend [it]")]
    monkeypatch.setattr(doctor, "examine", lambda: found)
    assert main(["doctor", "--json"]) == code
    shown = json.loads(capsys.readouterr().out)
    assert shown["fit"] == (code == 0)
    assert shown["findings"][0]["found"] == "as planted"
    assert main(["doctor"]) == code
    assert "mend [it]" in capsys.readouterr().out  # rich must not read it as markup
