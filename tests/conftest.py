"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real test clips; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("ROBOWM_CORPUS", CHECKOUT.parent / "shared" / "corpus"))
    if not (folder / "INDEX.tsv").is_file():
        pytest.skip(f"no test clips: {folder} is absent (set ROBOWM_CORPUS to their folder)")
    return folder
