"""What SIMPLER needs: found, told apart, and asked for in one line when it is missing."""

import os
from pathlib import Path

import pytest

from robowm import doctor, recipes
from robowm.errors import UserError
from robowm.sim.evaluate import EvalConfig, evaluate
from robowm.sim.record import record
from robowm.sim.simpler import needs


@pytest.fixture(autouse=True)
def nothing_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory, no variables, and everything installed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(needs, "installed", needs.PACKAGES.get)
    monkeypatch.setattr(needs, "vulkan_error", lambda: "")
    for name in ("MS_ASSET_DIR", "VK_ICD_FILENAMES"):
        monkeypatch.setenv(name, "")


def fill(folder: Path, stage_bytes: int, eggplant: bool) -> None:
    """Files of the right names; tables of that size."""
    for name in (*needs.REQUIRED, *([needs.EGGPLANT] if eggplant else [])):
        path = folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        if name in needs.STAGES:
            os.truncate(path, stage_bytes)  # sparse


@pytest.mark.parametrize(
    ("stage_bytes", "eggplant", "kind"),
    [
        (1244, False, "stand-in"),
        (1244, True, "stand-in"),
        (5 << 20, False, "stand-in"),
        (5 << 20, True, "original"),
    ],
)
def test_stand_ins_are_told_from_originals(
    stage_bytes: int, eggplant: bool, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "meshes", stage_bytes, eggplant)
    monkeypatch.setenv("MS_ASSET_DIR", str(tmp_path / "meshes"))
    assert needs.prepare() == {"assets": kind}


def test_the_environment_is_asked_before_the_prepared_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = tmp_path / needs.PREPARED
    fill(prepared / "assets", 1244, False)
    (prepared / needs.DRIVER).parent.mkdir()
    (prepared / needs.DRIVER).write_text("{}")
    assert needs.environment() == {
        "MS_ASSET_DIR": str(prepared / "assets"),
        "VK_ICD_FILENAMES": str(prepared / needs.DRIVER),
    }
    needs.prepare()
    assert os.environ["MS_ASSET_DIR"] == str(prepared / "assets")
    monkeypatch.setenv("MS_ASSET_DIR", "elsewhere")
    assert needs.environment()["MS_ASSET_DIR"] == "elsewhere"


def test_what_is_missing_is_named_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = recipes.load("sim_eval/simpler").SUITE.task("spoon")
    with pytest.raises(UserError, match=r"no .*wx250s\.urdf.*download_asset -y bridge_v2_real2sim"):
        evaluate("expert", task, tmp_path / "eval.json", EvalConfig(episodes=1))
    with pytest.raises(UserError, match="meshes are not complete"):
        record(task, tmp_path / "demonstrations")
    monkeypatch.setenv("MS_ASSET_DIR", str(tmp_path / "meshes"))
    fill(tmp_path / "meshes", 1244, False)
    monkeypatch.setattr(needs, "vulkan_error", lambda: "no device")
    with pytest.raises(UserError, match=r"cannot draw here \(no device\).*mesa-vulkan-drivers"):
        record(task, tmp_path / "demonstrations")
    monkeypatch.setattr(needs, "installed", lambda package: None)
    with pytest.raises(UserError, match=r"mani-skill 3\.0\.1.*pip install 'robowm\[simpler\]'"):
        record(task, tmp_path / "demonstrations")
    assert {path.name for path in tmp_path.iterdir()} == {"meshes"}


def test_the_doctor_says_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MS_ASSET_DIR", str(tmp_path))
    assets, drawing = doctor._simpler()
    assert assets.state == "missing" and "download_asset -y widowx250s" in assets.mend
    assert drawing.state == "ok" and not assets.required
    fill(tmp_path, 1244, False)
    monkeypatch.setattr(needs, "vulkan_error", lambda: "no device")
    assets, drawing = doctor._simpler()
    assert assets.state == "ok" and assets.found.startswith("stand-in, in ")
    assert drawing.state == "missing" and "mesa-vulkan-drivers" in drawing.mend


def test_a_vulkan_without_a_driver_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    if needs.installed("sapien") is None:
        pytest.skip("sapien is not installed (robowm[simpler])")
    monkeypatch.setenv("VK_ICD_FILENAMES", str(tmp_path / "none.json"))
    assert needs.vulkan_error.__wrapped__()
