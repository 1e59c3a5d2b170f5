"""What leaves the house: the wheel, what is in it, and that it works away from the checkout."""

import importlib.metadata
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from robowm import recipes

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    subprocess.run([*command, str(CHECKOUT)], check=True, capture_output=True, text=True)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*command, "--target", str(target), str(wheel)], check=True)
    return target


def _python(*words: str, installed: Path, cwd: Path) -> str:
    """Run Python with `installed` ahead of everything, from a folder that is not the checkout."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_library_and_every_recipe(wheel: Path) -> None:
    files = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in files} == {"robowm", "robowm-0.1.0.dist-info"}
    for folder in recipes.FOLDERS:
        assert f"robowm/recipes/{folder}/README.md" in files
        assert f"robowm/recipes/{folder}/__init__.py" not in files
    assert {f"robowm/recipes/{name}.py" for name in recipes.names()} <= files
    assert {"robowm/py.typed", "robowm-0.1.0.dist-info/licenses/LICENSE"} <= files


def test_package_data_is_in_the_wheel(wheel: Path) -> None:
    files = set(zipfile.ZipFile(wheel).namelist())
    tracked = (p for p in (CHECKOUT / "robowm").rglob("*") if p.is_file() and p.suffix != ".pyc")
    assert {str(p.relative_to(CHECKOUT)) for p in tracked} <= files


def test_the_installed_wheel_runs_from_another_folder(installed: Path, tmp_path: Path) -> None:
    where = "import robowm; print(robowm.__file__)"
    origin = _python("-c", where, installed=installed, cwd=tmp_path).strip()
    assert Path(origin).is_relative_to(installed), "the checkout ran, not the wheel"
    usage = _python("-m", "robowm", "--help", installed=installed, cwd=tmp_path)
    assert "quickstart" in usage


def test_recipes_load_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    code = """
from pathlib import Path
import robowm
from robowm import recipes
for name in recipes.names():
    module = recipes.load(name)
    assert Path(module.__file__).is_relative_to(Path(robowm.__file__).parent), module.__file__
print(*recipes.names())
"""
    found = _python("-c", code, installed=installed, cwd=tmp_path).split()
    assert found == recipes.names()


def test_import_warns_of_nothing(tmp_path: Path) -> None:
    code = "import robowm, robowm.batch, robowm.artefact, robowm.episodes, robowm.__main__"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr


def test_what_lerobot_looks_for_is_installed_under_its_name_and_of_this_version() -> None:
    # LeRobot compares the distribution's name as it is: with hyphens it would never be found
    plugin = importlib.metadata.distribution("lerobot_policy_robowm")
    assert plugin.metadata["Name"] == "lerobot_policy_robowm"
    assert plugin.version == importlib.metadata.version("robowm")
    assert plugin.requires == [f"robowm=={plugin.version}"]
