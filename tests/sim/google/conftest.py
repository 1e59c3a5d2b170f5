"""An interpreter that has a stand-in for the original, and an empty set of its assets."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from robowm.sim.google import needs
from robowm.sim.google.table import PROTOCOLS

STAND_IN = Path(__file__).with_name("stand_in.py")
RUN = "import runpy, sys; sys.path.insert(0, {site!r}); sys.argv = sys.argv[1:]; " + (
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)


@pytest.fixture
def make_python(tmp_path: Path) -> Callable[..., Path]:
    """Makes a program that runs scripts as this Python does, with other packages on its path."""

    def make(
        sapien: str = "2.2.2",
        modules: tuple[str, ...] = ("mani_skill2_real2sim",),
        draws: str = "pass",
    ) -> Path:
        folder = tmp_path / f"environment_{sapien}_{len(modules)}_{len(draws)}"
        site = folder / "site"
        for module in modules:
            package = site / module
            package.mkdir(parents=True)
            (package / "__init__.py").touch()
            (package / "envs.py").write_text(STAND_IN.read_text())
        (site / "sapien").mkdir(parents=True)
        (site / "sapien" / "__init__.py").touch()
        (site / "sapien" / "core.py").write_text(f"def SapienRenderer(offscreen_only): {draws}\n")
        metadata = site / f"sapien-{sapien}.dist-info" / "METADATA"
        metadata.parent.mkdir(parents=True)
        metadata.write_text(f"Metadata-Version: 2.1\nName: sapien\nVersion: {sapien}\n")
        python = folder / "python"
        code = RUN.format(site=str(site))
        python.write_text(f'#!/bin/sh\nshift\nexec "{sys.executable}" -I -c "{code}" "$@"\n')
        python.chmod(0o755)
        return python

    return make


@pytest.fixture
def make_assets(tmp_path: Path) -> Callable[[int], Path]:
    """Makes a folder of empty photographs, and of large files of that size."""

    def make(large_bytes: int) -> Path:
        folder = tmp_path / f"assets_{large_bytes}"
        for protocol in PROTOCOLS.values():
            large = (*protocol.scenes(), *protocol.large)
            for name in (*protocol.photographs(), *large):
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
                if name in large:
                    os.truncate(path, large_bytes)  # sparse
        return folder

    return make


@pytest.fixture
def original(
    make_python: Callable[..., Path],
    make_assets: Callable[[int], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Everything that the google tasks need, with the stand-in for the original."""
    monkeypatch.setenv(needs.PYTHON_VARIABLE, str(make_python()))
    monkeypatch.setenv(needs.ASSETS_VARIABLE, str(make_assets(5 << 20)))
