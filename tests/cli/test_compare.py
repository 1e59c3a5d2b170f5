"""`robowm compare` from files to tables."""

import json
from pathlib import Path

import pytest

from robowm.__main__ import main


def write(path: Path, ends: str, suite: str = "simpler/spoon", seed: int = 0) -> Path:
    stages = {"1": "success", "g": "missed grasp", "d": "dropped"}
    episodes = [
        {"seed": i, "layout": i, "success": e == "1", "length": 60, "stage": stages[e]}
        for i, e in enumerate(ends)
    ]
    found = {"suite": suite, "policy": "p", "episodes": episodes, "assets": "stand-in"}
    found |= {"settings": {"policy_sha256": path.stem}, "training": {"seed": seed}}
    path.write_text(json.dumps(found))
    return path


def test_files_are_arms_named_after_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    files = [
        write(tmp_path / "eval_pretrained.json", "1111g1d111"),
        write(tmp_path / "eval_scratch.json", "1gg1gddd11"),
    ]
    assert main(["compare", *map(str, files), "--json", str(tmp_path / "new" / "c.json")]) == 0
    said = capsys.readouterr().out
    assert "8 of 10" in said and "pretrained - scratch" in said and "+40 points" in said
    assert "4 / 0" in said and "p = 0.12" in said and "missed grasp" in said
    assert "note: Assets: stand-in." in said
    assert json.loads((tmp_path / "new" / "c.json").read_text())["rows"][0]["tasks"] == [
        "simpler/spoon"
    ]


def test_arms_of_several_seeds_and_tasks_as_markdown(tmp_path: Path) -> None:
    for arm, good, bad in (("pre", "111d11", "11gg11"), ("new", "1gddg1", "gddg1g")):
        for seed, ends in enumerate((good, bad)):
            for task in ("spoon", "eggplant"):
                write(tmp_path / f"{arm}_{task}_{seed}.json", ends, f"simpler/{task}", seed)
    words = ["compare", "--arm", f"new={tmp_path}/new_*.json", "--apart", "simpler/eggplant"]
    listed = ",".join(str(p) for p in sorted(tmp_path.glob("pre_*.json")))
    out = tmp_path / "c.md"
    assert main([*words, "--arm", f"pre={listed}", "--markdown", str(out)]) == 0
    page = out.read_text()
    assert "| average | pre | 2 | 18 of 24 | 75 % |" in page
    assert "| average | new - pre | −50 points |" in page
    assert "| simpler/eggplant | new | 3 | 5 | 4 |" in page
    tables = [line for line in page.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in tables)
    assert "rests on 2 trainings an arm" in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing to compare"),
        (["--arm", "a"], "--arm 'a': expected NAME=FILE,FILE,..."),
        (["--arm", "a=none_*.json"], "no file matches 'none_*.json'"),
        (["--arm", "a=a.json", "a.json"], "two arms are named 'a'"),
        (["note.json"], "note.json is not a result of `robowm eval`: it lacks suite"),
        (["absent.json"], "absent.json cannot be read"),
        (["a.json", "b.json"], "different suites: simpler/spoon; simpler/stack"),
        (["a.json", "--json", "note.json/c.json"], "note.json/c.json cannot be written"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("a.json"), "1d")
    write(Path("b.json"), "1d", "simpler/stack")
    Path("note.json").write_text("{}")
    before = sorted(tmp_path.iterdir())
    assert main(["compare", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line and sorted(tmp_path.iterdir()) == before
