"""The pages of `robowm reality`: bars on one axis, codes as stretches, nothing taken on trust."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from robowm.errors import UserError
from robowm.report.label_viewer import WIDTH as STRIP
from robowm.report.label_viewer import code_runs, write_viewer
from robowm.report.reality_page import WIDTH, card, number, write_reality_pages


def figure(value: float | None, low: float | None = None, high: float | None = None) -> Any:
    return {"value": value, "low": low, "high": high}


def made(**changes: Any) -> dict[str, Any]:
    test = {
        "name": "probe_linear",
        "title": "True action",
        "value": figure(0.5, 0.4, 0.6),
        "unit": "R²",
        "baselines": {"frame": figure(-8.0, -9.0, -7.0), "shuffled": figure(-0.01)},
        "gate": "R² >= 0.8",
        "passed": False,
        "better": True,
        "says": "It <b>reads</b> half.",
        "mend": "Train longer.",
        "reason": "",
        "details": {
            "margin": {"frame": figure(8.5, 7, 9)},
            "episodes": 4,
            "cosines": {"per dim": {"x": 0.25, "y": None}},
        },
    }
    return test | changes


def report(tests: list[dict[str, Any]], outcome: str = "real") -> dict[str, Any]:
    return {
        "verdict": {"outcome": outcome, "sentence": "These labels describe motion."},
        "tests": tests,
        "warnings": ["A <note>."],
        "labeller": {"directory": "model", "sha256": "ab" * 32},
        "dataset": "clips",
        "truth": None,
        "episodes": [1, 4],
        "config": {"dims": None, "pairs": 256},
        "versions": {"robowm": "0.1.0"},
    }


def test_bars_stand_on_one_axis() -> None:
    laid = card(made())
    assert [row.kind for row in laid.rows] == ["labels", "baseline", "baseline"]
    # -8 is far below nothing: it is cut at -1, so that 0.5 and 0 can still be told apart
    assert laid.axis == ("−1.00", "0.60")
    assert laid.rows[1].at == 0 and laid.zero == pytest.approx(WIDTH / 1.6, abs=0.1)
    assert laid.rows[0].at == pytest.approx(WIDTH * 1.5 / 1.6, abs=0.1)
    assert laid.rows[0].high == WIDTH
    assert laid.rows[1].text == "−8.00 (−9.00 to −7.00)" and laid.rows[2].low is None


def test_figures_in_words() -> None:
    assert number(figure(-0.001)) == "0.00"
    assert number(figure(None)) == "none"
    assert number(figure(1, 0.996, 1)) == "1.00 (1.00 to 1.00)"


def test_the_page_says_what_was_not_run_and_escapes(tmp_path: Path) -> None:
    absent = made(name="cut", value=None, baselines={}, passed=None, reason="one episode <only>")
    path = tmp_path / "reality.json"
    path.write_text(json.dumps(report([made(), absent], "no better than the baselines")))
    page = write_reality_pages(tmp_path).read_text()
    assert 'class="verdict bad"' in page and "Not run: one episode &lt;only&gt;." in page
    assert "It &lt;b&gt;reads&lt;/b&gt; half." in page and "A &lt;note&gt;." in page
    assert "Train longer." in page and "viewer.html" not in page
    assert "8.50 (7.00 to 9.00)" in page and "x 0.25, y none" in page
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page


def test_no_report_is_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no readable reality\.json"):
        write_reality_pages(tmp_path)


def test_codes_become_stretches() -> None:
    runs = code_runs([[1, 0], [1, 2], [3, 2], [3, 2]], [True, True, False, True], 8)
    top = [(run.code, run.x, run.width) for run in runs if run.row == 0]
    quarter = STRIP / 4
    assert top == [(1, 0, 2 * quarter), (-1, 2 * quarter, quarter), (3, 3 * quarter, quarter)]
    assert [run.code for run in runs if run.row == 1] == [0, 2, -1, 2]
    assert code_runs([], [], 8) == []


def test_the_viewer_shows_a_clip(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "clip_0.jpg"), np.zeros((64, 64, 3), np.uint8))
    times = [0.0, 0.1, 0.2]
    camera = {name: [0.0, 0.2, 0.1] for name in ("shift right", "shift down", "rotation", "zoom")}
    clip = {
        "episode": 3,
        "task": "push <it>",
        "sheet": "clip_0.jpg",
        "columns_s": [0.0, 0.2],
        "times_s": times,
        "camera": camera,
        "agreement": [1.0, 0.9, 0.8],
        "trusted": [1.0, 1.0, 1.0],
        "speed": [0.1, 0.2, 0.3],
        "codes": [[0, 1], [0, 1], [2, 1]],
        "valid": [True, True, True],
    }
    viewer = {"rows": ["frame"], "codebook": 8, "clips": [clip, clip | {"sheet": "../x.jpg"}]}
    (tmp_path / "viewer.json").write_text(json.dumps(viewer))
    page = write_viewer(tmp_path).read_text()
    assert "push &lt;it&gt;" in page and "data:image/jpeg;base64," in page
    assert "../x.jpg: outside the run directory" in page
    assert page.count("<polyline") == 2 * (4 + 3)
    assert page.count("<rect") == 2 * 3  # token 0 changes once, token 1 never
