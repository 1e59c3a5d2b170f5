"""The shape of the house: where packages are, what may import what, how long a file may be."""

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from robowm.recipes import FOLDERS

CHECKOUT = Path(__file__).resolve().parents[1]
LIBRARY = CHECKOUT / "robowm"
MAX_LINES = 400

BASE = {"__init__", "artefact", "batch", "columns", "episodes", "errors", "progress"}
BASE |= {"hold", "machine", "statistics", "swap"}
LEARNT = BASE | {"nn", "video", "motion", "metrics"}
MODELS = LEARNT | {"latent", "world"}
# What each module or package directly under robowm/ may import, besides itself.
MAY_IMPORT = {
    **dict.fromkeys(BASE, BASE),
    "recipes": BASE,
    "doctor": BASE | {"sim"},
    "nn": BASE,
    **dict.fromkeys(["video", "motion", "metrics"], BASE | {"nn"}),
    **dict.fromkeys(["latent", "world"], MODELS),
    "policy": MODELS,
    "train": MODELS | {"policy"},
    **dict.fromkeys(["sim", "robot"], BASE | {"policy", "metrics"}),
    "report": BASE,
    "__main__": BASE,  # finds verbs by name, so that `robowm --help` loads none of them
    "quickstart": MODELS | {"policy", "train", "sim", "report"},
    "cli": MODELS
    | {"policy", "train", "sim", "robot", "report", "recipes", "doctor", "quickstart"},
}
MODULES = sorted(LIBRARY.rglob("*.py"))
SOURCES = sorted(
    path
    for folder in ("robowm", "tests", "benchmarks", *FOLDERS)
    for path in (CHECKOUT / folder).rglob("*.py")
)


def _name(path: Path) -> str:
    return str(path.relative_to(CHECKOUT))


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every dotted name a file imports, with its line; imports inside functions count."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "robowm":
            yield from ((node.lineno, f"robowm.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")


def _part(dotted: str) -> str:
    """`robowm.video.shots` to `video`; a name of the top package, like __version__, to __init__."""
    part = dotted.split(".")[1] if "." in dotted else "__init__"
    return part if part in MAY_IMPORT else "__init__"


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_imports_run_downhill(path: Path) -> None:
    here = path.relative_to(LIBRARY).with_suffix("").parts[0]
    assert here in MAY_IMPORT, f"robowm/{here} is new: add it to the table above"
    allowed = MAY_IMPORT[here] | {here}
    for line, dotted in _imports(path):
        top = dotted.split(".")[0]
        where = f"{_name(path)}:{line} imports {dotted}"
        assert top not in {"", "policies", "sim_eval", "real_robot", "tests"}, where
        assert top != "robowm" or _part(dotted) in allowed, where
    # datasets/ is a folder of ours too, but the name always means Hugging Face (tested below)


def test_only_the_command_line_loads_recipes() -> None:
    loads = {
        path.relative_to(LIBRARY).parts[0]
        for path in MODULES
        for _, dotted in _imports(path)
        if dotted == "robowm.recipes"
    }
    assert loads <= {"cli"}


@pytest.mark.parametrize("folder", [*FOLDERS, "tests"])
def test_no_init_py(folder: str) -> None:
    assert (CHECKOUT / folder).is_dir()
    assert not [*(CHECKOUT / folder).rglob("__init__.py")]


def test_datasets_is_hugging_face() -> None:
    spec = importlib.util.find_spec("datasets")
    assert spec is not None and spec.origin is not None
    assert not Path(spec.origin).is_relative_to(CHECKOUT / "datasets")
    assert importlib.import_module("datasets").load_dataset


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", [p for p in SOURCES if "tests" not in p.parts], ids=_name)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))
