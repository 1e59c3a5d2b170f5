"""What the google tasks need: asked for in one line before anything starts."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from robowm import doctor
from robowm.cli.eval import task_named
from robowm.errors import UserError
from robowm.sim.evaluate import EvalConfig, evaluate
from robowm.sim.google import needs
from robowm.sim.google.table import PROTOCOLS
from robowm.sim.record import record

prepare = partial(needs.prepare, PROTOCOLS["pick_coke_can"])


def one_line(match: str) -> None:
    with pytest.raises(UserError, match=match) as refused:
        prepare()
    assert "\n" not in str(refused.value) and "docs/simpler.md" in str(refused.value)


def test_without_another_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(needs.PYTHON_VARIABLE, raising=False)
    one_line(
        r"mani_skill2_real2sim with sapien 2\.2\.2.*Python 3\.10.*ROBOWM_SIMPLER_PYTHON is not"
    )
    task = task_named("google/pick_coke_can")
    with pytest.raises(UserError, match="ROBOWM_SIMPLER_PYTHON is not set"):
        evaluate("random", task, tmp_path / "eval.json", EvalConfig(episodes=1))
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv(needs.PYTHON_VARIABLE, str(tmp_path / "python3.10"))
    one_line(r"python3\.10', which is no program")


def test_an_interpreter_that_is_none_or_lacks_packages(
    tmp_path: Path, make_python: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\n")
    silent.chmod(0o755)
    monkeypatch.setenv(needs.PYTHON_VARIABLE, str(silent))
    one_line("does not run as a Python")
    monkeypatch.setenv(needs.PYTHON_VARIABLE, str(make_python(modules=())))
    one_line("has no mani_skill2_real2sim; expected the original SIMPLER")
    monkeypatch.setenv(needs.PYTHON_VARIABLE, str(python := make_python(sapien="3.0.3")))
    with pytest.raises(UserError, match=rf"has sapien 3\.0\.3.*{python} -m pip install sapien==2"):
        prepare()


def test_where_sapien_cannot_draw(
    original: None, make_python: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    python = make_python(draws="raise RuntimeError('ErrorExtensionNotPresent')")
    monkeypatch.setenv(needs.PYTHON_VARIABLE, str(python))
    one_line(r"SAPIEN 2\.2\.2 cannot draw here \(ErrorExtensionNotPresent\).*semaphore_fd")


def test_without_assets(
    original: None,
    tmp_path: Path,
    make_assets: Callable[[int], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert prepare()["assets"] == "original"
    assert "sapien 2.2.2" in prepare()["original"] and "python 3." in prepare()["original"]
    near, bottle = PROTOCOLS["move_near"], "custom/models/blue_plastic_bottle/textured.dae"
    assert needs.prepare(near)["assets"] == "original"
    (make_assets(5 << 20) / bottle).unlink()  # another kind of file may stand in for it
    assert needs.prepare(near)["assets"] == "stand-in" != prepare()["assets"]
    small = make_assets(1244)
    monkeypatch.setenv(needs.ASSETS_VARIABLE, str(small))
    assert prepare()["assets"] == "stand-in"
    assert needs.prepare(PROTOCOLS["open_drawer"])["assets"] == "original"  # needs no large file
    (small / "real_inpainting/google_coke_can_real_eval_1.png").unlink()
    one_line(r"no real_inpainting/google_coke_can_real_eval_1\.png in")
    with pytest.raises(UserError, match=r"no hab2_bench_assets/stages/google_pick_coke_can_1_v4"):
        (small / near.scenes()[0]).unlink()
        needs.prepare(near)
    monkeypatch.setenv(needs.ASSETS_VARIABLE, str(tmp_path / "nowhere"))
    one_line("MS2_ASSET_DIR is '.*nowhere'; expected the folder data/")


def test_the_doctor_says_whether_it_is_complete(
    original: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (finding,) = doctor._google()
    assert finding.state == "ok" and finding.found.startswith("original assets; python 3.")
    monkeypatch.setenv(needs.ASSETS_VARIABLE, "nowhere")
    (finding,) = doctor._google()
    assert finding.state == "missing" and not finding.required
    assert finding.found.startswith("MS2_ASSET_DIR is 'nowhere'")
    assert finding.mend.startswith("docs/simpler.md")
    monkeypatch.delenv(needs.PYTHON_VARIABLE)
    assert not list(doctor._google())


def test_there_is_no_expert_and_nothing_to_record(original: None, tmp_path: Path) -> None:
    task = task_named("google/open_drawer")
    with pytest.raises(UserError, match="google/open_drawer has no scripted expert"):
        evaluate("expert", task, tmp_path / "eval.json")
    with pytest.raises(UserError, match="nothing to record"):
        record(task, tmp_path / "demonstrations")
    assert not (tmp_path / "eval.json").exists() and not (tmp_path / "demonstrations").exists()


def test_an_unknown_task_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no task 'pick_coke'.*Did you mean 'pick_coke_can'"):
        task_named("google/pick_coke")
    with pytest.raises(UserError, match=r"no task 'move_near_flat'"):
        task_named("google/move_near_flat")  # is not ray traced
