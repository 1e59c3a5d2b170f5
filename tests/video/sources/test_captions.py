"""Words for clips: names that read like tasks, sidecars, tables, subtitles."""

import json

import pytest

from robowm.video.sources.captions import read_subtitles, read_table, words_of_name
from robowm.video.sources.entry import Search
from robowm.video.sources.files import find_files

NAMES = {
    "place_coke_can_into_top_drawer_2": "place coke can into top drawer",
    "static__videos__pi0--put_green_pepper_into_pot--rollout--5x": "put green pepper into pot",
    "bridge_data_v1_toysink1_room8052_flip_pot_upright": "flip pot upright",
    "move_orange_to_H": "move orange to H",
    "move_pumpkin_to_6": "move pumpkin to 6",
    "Pick up the red cup (take 2)": "Pick up the red cup",
    "bc15b34b__2023-06-12__Mon_Jun_12_16-43-29_2023__20521388": "",
    "IMG_20240101_123456": "",
    "folding_table_demo": "",
    "open": "",
    "1023": "",
}
SRT = """1
00:00:00,000 --> 00:00:02,500
<i>Pick up</i>
the cup

2
01:00:02,500 --> 01:00:04,000
pour it out
"""
VTT = """WEBVTT
Kind: captions

00:01.000 --> 00:02.000 align:start position:0%
first<00:00:01.500><c> word</c>

00:03.000 --> 00:04.250

"""


@pytest.mark.parametrize("name", NAMES)
def test_names(name: str) -> None:
    assert words_of_name(name) == NAMES[name]


def test_subtitles() -> None:
    assert read_subtitles(SRT) == [
        (0.0, 2.5, "Pick up the cup"),
        (3602.5, 3604.0, "pour it out"),
    ]
    assert read_subtitles(VTT.replace("\n", "\r\n")) == [(1.0, 2.0, "first word")]


def test_tables(tmp_path) -> None:
    forms = {
        "captions.json": json.dumps({"a.mp4": "lift it", "b": {"caption": "drop it"}}),
        "metadata.jsonl": '{"file_name": "x/a.mp4", "text": "lift it"}\n'
        '{"id": "b", "label": "drop it"}\n',
        "labels.csv": "video,caption\na.mp4,lift it\nb.webm,drop it\n",
        "annotations.json": json.dumps(
            [{"id": "a", "text": "lift it"}, {"id": "b", "task": "drop it"}]
        ),
    }
    for name, text in forms.items():
        (tmp_path / name).write_text(text)
        table = read_table(tmp_path / name)
        assert (table["a"], table["b"]) == ("lift it", "drop it"), name
    (tmp_path / "broken.json").write_text("{")
    assert read_table(tmp_path / "broken.json") == {}


def test_the_most_particular_words_win(tmp_path) -> None:
    clip = tmp_path / "pick_up_cup.mp4"
    clip.touch()

    def label():
        (entry,) = find_files(Search((str(tmp_path),))).entries
        return entry, entry.label()

    entry, said = label()
    states = {entry.state}
    assert said.words(0, 1) == ("pick up cup", "file name")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "pick_up_cup.mp4", "text": "a table"}')
    entry, said = label()
    states.add(entry.state)
    assert said.words(0, 1) == ("a table", "sidecar")
    (tmp_path / "pick_up_cup.info.json").write_text('{"title": "own words", "id": 3}')
    entry, said = label()
    states.add(entry.state)
    assert said.words(0, 1) == ("own words", "sidecar")
    (tmp_path / "pick_up_cup.en.srt").write_text(SRT)
    entry, said = label()
    states.add(entry.state)
    assert said.words(0, 1) == ("Pick up the cup", "subtitles")
    assert said.words(5, 6) == ("own words", "sidecar")
    assert len(states) == 4  # other words make it another clip to the cache


def test_timed_json_is_subtitles(tmp_path) -> None:
    (tmp_path / "a.mp4").touch()
    lines = [{"start": 0, "end": 2.5, "text": "reach"}, {"start": 2.5, "end": 4, "text": "grasp"}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (entry,) = find_files(Search((str(tmp_path),))).entries
    assert entry.label().words(2.6, 3.0) == ("grasp", "subtitles")
