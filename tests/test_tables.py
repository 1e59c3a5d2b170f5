"""The tables of the docs are what the JSON files say."""

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def tables(benchmark: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark("tables")


def test_the_page_is_what_the_results_say(tables: ModuleType) -> None:
    assert tables.main(["--check"]) == 0, "run benchmarks/tables.py"


def test_a_figure_changed_by_hand_is_found_and_mended(
    tables: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "results.md"
    first, *others = tables.PAGES
    right = first.read_text()
    pages = ["--pages", str(page), *map(str, others)]
    page.write_text(re.sub(r"\| \d+ of 50 \|", "| 51 of 50 |", right, count=1))
    assert page.read_text() != right
    assert tables.main(["--check", *pages]) == 1
    said = capsys.readouterr().err
    assert "-| pretrained on 48 action-free videos | 51 of 50 |" in said
    assert "51 of 50" in page.read_text()
    assert tables.main(pages) == 0
    assert page.read_text() == right


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<!-- table: quickstart -->\n", "needs its own <!-- end -->"),
        ("<!-- end -->\n", "needs its own <!-- end -->"),
        ("<!-- table: quikstart -->\n<!-- end -->\n", "quickstart, quikstart"),
    ],
)
def test_marks_that_do_not_fit_are_said(
    tables: ModuleType,
    text: str,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    assert tables.main(["--pages", str(page)]) == 1
    assert said in capsys.readouterr().err and page.read_text() == text
