"""The page: every part is on it, what is absent is said, nothing is loaded from elsewhere."""

import base64
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from robowm.__main__ import main
from robowm.errors import UserError
from robowm.report.page import write_report


class _Page(HTMLParser):
    """Tags with their attributes, and the text outside <style>."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs in self.tags if tag == name]


def _edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture(scope="module")
def page(full_run: Path, tmp_path_factory: pytest.TempPathFactory) -> _Page:
    out = write_report(full_run, tmp_path_factory.mktemp("page") / "new" / "report.html")
    return _Page(out.read_text())


@pytest.fixture
def run(full_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(full_run, tmp_path / "quickstart"))


def test_all_tags_are_closed(page: _Page) -> None:
    assert page.open == []


def test_nothing_is_loaded_from_elsewhere(page: _Page) -> None:
    for tag, attrs in page.tags:
        assert tag not in {"script", "link", "iframe", "base"}
        for name in ("src", "href", "srcset", "poster", "data"):
            assert (attrs.get(name) or "data:").startswith("data:")
    policy = next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    assert "default-src 'none'" in str(policy)


def test_no_address_is_on_the_page(full_run: Path, tmp_path: Path) -> None:
    html = write_report(full_run, tmp_path / "r.html").read_text()
    assert not re.search(r"https?://|url\(|@import", html)


def test_every_part_is_there(page: _Page) -> None:
    headings = "Success rates|Every episode|Rollouts side by side|Clips|Latent actions"
    headings += "|Imagined against true frames|Latent actions to controls|Learning curves|Stages"
    headings += "|The same again|Machine"
    for heading in headings.split("|"):
        assert heading in page.text
    assert "Not in this run" not in page.text
    assert "Quickstart: does action-free video help?" in page.text


def test_the_table(page: _Page) -> None:
    words = " ".join(page.text.split())
    assert "pretrained 28 of 50 56 % 43 to 69 %" in words
    assert "null 0 of 50 0 % 0 to 7 %" in words
    order = [
        words.index(f"{name} {n} of 50")
        for name, n in [
            ("pretrained", 28),
            ("scratch", 23),
            ("expert", 50),
            ("random", 1),
            ("null", 0),
        ]
    ]
    assert order == sorted(order)
    assert "no difference shown" in words


def test_how_well_latent_actions_tell_controls(page: _Page) -> None:
    words = " ".join(page.text.split())
    assert "finetune_scratch panda" in words
    assert "delta_x 0.91 0.0123" in words and "gripper 0.31 0.7" in words
    assert words.count("delta_x") == 1  # another policy's map is shown with that policy


def test_media_are_the_files(page: _Page, full_run: Path) -> None:
    videos = [str(v["src"]).partition("base64,")[2] for v in page.all("video")]
    assert len(videos) == 9
    assert base64.b64decode(videos[0]) == (full_run / "eval/pretrained/1000.mp4").read_bytes()
    assert base64.b64decode(videos[1]) == (full_run / "eval/scratch/1000.mp4").read_bytes()
    assert all({"autoplay", "muted", "loop"} <= video.keys() for video in page.all("video"))


def test_pictures_in_the_order_of_the_stages(page: _Page) -> None:
    text = page.text
    assert text.index("Latent actions") < text.index("Imagined against true frames")
    assert text.index("World model") < text.index("Policy, scratch")


def test_a_mark_for_every_episode(page: _Page) -> None:
    classes = [rect.get("class") for rect in page.all("rect")]
    assert classes.count("won") == 28 + 23
    assert classes.count("lost") == 100 - 51


def test_a_script_in_the_data_stays_text(run: Path) -> None:
    evil = "</style><script>alert(1)</script>"
    _edit(run / "results.json", title=evil, commands=[evil], versions={evil: evil})
    _edit(run / "ingest/summary.json", dropped={evil: 3})
    _edit(run / "pretrain/curves.json", title=evil, series={evil: [[0, 1], [1, 2]]})
    _edit(run / "label/gallery.json", title=evil, caption=evil)
    page = _Page(write_report(run).read_text())
    assert page.all("script") == []
    assert page.text.count("<script>alert(1)</script>") >= 7


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("results.json", "results (results.json)"),
        ("eval", "rollouts (eval_*.json)"),
        ("ingest", "clips (ingest/summary.json)"),
    ],
)
def test_what_is_absent_is_said(run: Path, gone: str, said: str) -> None:
    path = run / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    page = _Page(write_report(run).read_text())
    assert page.text.count(said) == 1
    assert "Learning curves" in page.text


def test_evaluations_alone_make_the_table(run: Path) -> None:
    (run / "results.json").unlink()
    words = " ".join(_Page(write_report(run).read_text()).text.split())
    assert "pretrained 28 of 50" in words and "random 1 of 50" in words


@pytest.mark.parametrize(
    "name", ["results.json", "eval", "ingest/summary.json", "pretrain", "label", "finetune_scratch"]
)
def test_one_part_alone_is_enough(full_run: Path, tmp_path: Path, name: str) -> None:
    target = tmp_path / "run" / name
    target.parent.mkdir(parents=True)
    source = full_run / name
    shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    page = _Page(write_report(tmp_path / "run").read_text())
    assert page.open == [] and "Not in this run" in page.text


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ("../../secret.png", "outside the run directory"),
        ("absent.png", "file is absent"),
        ("../results.json", "unknown format"),
    ],
)
def test_media_that_cannot_be_shown(run: Path, file: str, problem: str) -> None:
    (run.parent / "secret.png").write_bytes(b"\x89PNG\r\n\x1a\n secret")
    _edit(run / "label/gallery.json", items=[{"file": file}])
    page = _Page(write_report(run).read_text())
    assert f"not shown: {file}: {problem}" in page.text
    assert len(page.all("img")) == 1  # the world model's


def test_large_media_are_left_out(run: Path) -> None:
    with (run / "label/clip_0.mp4").open("wb") as file:
        file.truncate(8_000_001)
    page = _Page(write_report(run).read_text())
    assert "clip_0.mp4: 8.0 MB; at most 8 MB" in page.text


def test_half_made_stages_are_not_shown(run: Path) -> None:
    (run / "pretrain").rename(run / ".pretrain.partial")
    assert "World model" not in _Page(write_report(run).read_text()).text


def test_videos_are_matched_by_seed_or_position(run: Path) -> None:
    card = json.loads((run / "eval/eval_scratch.json").read_text())
    for file in card["videos"]:
        path = run / "eval" / file
        path.rename(path.with_stem(f"{path.stem}_rollout"))  # no seed at the end of the name
    names = [file.replace(".mp4", "_rollout.mp4") for file in card["videos"]]
    _edit(run / "eval/eval_scratch.json", videos=names)
    page = _Page(write_report(run).read_text())
    assert len(page.all("video")) == 9 and "not shown" not in page.text


def test_not_a_run(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for name, words in [
        ("empty", "holds nothing to report; expected one or more of results.json"),
        ("file", "is a file; expected a run directory"),
        ("gone", "does not exist; expected a run directory"),
    ]:
        with pytest.raises(UserError, match=words):
            write_report(tmp_path / name)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["empty", "file"]


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("pretrain/curves.json", "{", "curves.json is not JSON"),
        ("pretrain/curves.json", "{}", "curves.json lacks series; expected series."),
        ("label/gallery.json", "[]", "gallery.json lacks items; expected items."),
        ("results.json", "[]", "results.json lacks fields; expected an object."),
        ("eval/eval_scratch.json", '{"episodes": []}', "lacks successes, success_rate, interval"),
        ("ingest/summary.json", '{"kept": 3}', "summary.json lacks dropped"),
        ("finetune_scratch/control_map.json", "{}", "control_map.json lacks held_out"),
    ],
)
def test_broken_files_are_named(run: Path, file: str, text: str, words: str) -> None:
    (run / file).write_text(text)
    with pytest.raises(UserError, match=re.escape(words)):
        write_report(run)
    assert not (run / "report.html").exists()


def test_the_command(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run)]) == 0
    assert str(run / "report.html") in capsys.readouterr().out
    assert main(["report", str(run), "--out", str(tmp_path)]) == 2
    assert "is a directory; expected a file" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "gone")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
