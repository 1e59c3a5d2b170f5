"""Words for a clip: its file's name, text beside it, tables of captions, subtitles.

What is most particular wins: subtitles that overlap a shot, then the clip's own sidecar, then a
table for the folder, then the file's name. A name is believed only if it reads like a task.
"""

import csv
import json
import re
from collections import defaultdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from robowm.video.sources.labels import Label

SIDECARS = (".txt", ".json", ".jsonl", ".srt", ".vtt")
TABLES = ("captions", "metadata", "labels", "annotations")  # .json, .jsonl or .csv, in a folder
TEXT_KEYS = (
    *("task", "instruction", "language_instruction", "caption", "text", "label"),
    *("title", "description"),
)
NAME_KEYS = ("file_name", "filename", "file", "video", "video_path", "path", "name", "id")
START_KEYS, END_KEYS = ("start_s", "start", "begin"), ("end_s", "end", "stop")
VERBS = (
    *("arrange", "assemble", "brush", "carry", "clean", "close", "cover", "cut", "dip", "drag"),
    *("draw", "drop", "empty", "fill", "flip", "fold", "give", "grab", "grasp", "hang", "hide"),
    *("hit", "hold", "insert", "kick", "knock", "lift", "load", "mix", "move", "open", "pack"),
    *("peel", "pick", "place", "plug", "poke", "pour", "press", "pull", "push", "put", "reach"),
    *("remove", "roll", "rotate", "scoop", "screw", "separate", "show", "shake", "slide", "spin"),
    *("squeeze", "stack", "stir", "sweep", "take", "throw", "tie", "tilt", "touch", "turn"),
    *("twist", "unload", "unplug", "untie", "unfold", "wash", "wipe", "zip"),
)
BEFORE_PLACES = {"at", "from", "in", "into", "near", "on", "onto", "to", "with"}
NO_WORDS = {
    *("clip", "copy", "demo", "ep", "episode", "eps", "fail", "failure", "final", "gif", "hd"),
    *("high", "low", "movie", "real", "res", "rgb", "robot", "sim", "speed", "success", "take"),
    *("trial", "v", "vid", "video", "x"),
}
_CLOCK = r"(?:(\d+):)?(\d+):(\d+)[.,](\d{1,3})"
_CUE = re.compile(rf"{_CLOCK}\s*-->\s*{_CLOCK}")


def words_of_name(name: str) -> str:
    """What a file's name says is done, or "": "scene1__place_apple_in_bowl_2": place apple in bowl.

    Names that hold a path are read from their end, part by part. A task begins at the first verb
    of a list, so that a dataset's name before it goes; what numbers the takes goes from its end.
    Fewer than two words, or no verb, is no task.
    """
    tasks = map(_task, reversed(re.split(r"__|--", name)))
    return next(filter(None, tasks), "")


def _task(part: str) -> str:
    words = [word for word in re.split(r"[\s_\-.+,()\[\]]+", part) if word]
    starts = [n for n, word in enumerate(words) if word.lower() in VERBS]
    words = words[starts[0] :] if starts else []
    while len(words) > 1 and words[-2].lower() not in BEFORE_PLACES:
        if words[-1].lower() not in NO_WORDS and not re.fullmatch(r"\d+x?|x\d+", words[-1]):
            break
        words.pop()
    return " ".join(words) if len(words) > 1 else ""


def sidecars_of(clip: Path) -> tuple[Path, ...]:
    """Files with words for this clip alone: `clip.txt`, `clip.mp4.json`, `clip.en.vtt`."""
    found = _sidecars(clip.parent)
    return tuple(dict.fromkeys([*found.get(clip.stem, ()), *found.get(clip.name, ())]))


def tables_of(clip: Path) -> tuple[Path, ...]:
    """Tables of captions in the clip's folder."""
    return tuple(path for path in _texts(clip.parent) if path.stem in TABLES)


def forget() -> None:
    """Look at folders anew: files may have come since."""
    _texts.cache_clear()
    _sidecars.cache_clear()


@lru_cache(maxsize=64)
def _texts(folder: Path) -> tuple[Path, ...]:
    suffixes = (*SIDECARS, ".csv")
    return tuple(sorted(path for path in folder.iterdir() if path.suffix in suffixes))


@lru_cache(maxsize=64)
def _sidecars(folder: Path) -> dict[str, list[Path]]:
    """Beginnings of names, up to a dot, to the files that have them."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in _texts(folder):
        parts = path.name.split(".")
        for n in range(1, len(parts) if path.suffix in SIDECARS else 1):
            found[".".join(parts[:n])].append(path)
    return dict(found)


def label_of(clip: Path, sidecars: tuple[Path, ...], table: str = "") -> Label:
    """The words of a clip from its sidecars, else from a table, else from its name."""
    said = ""
    cues: list[tuple[float, float, str]] = []
    for path in sidecars:
        text, timed = read_sidecar(path)
        said, cues = said or text, cues + timed
    found = [(said, "sidecar"), (table, "sidecar"), (words_of_name(clip.stem), "file name")]
    task, task_from = next((pair for pair in found if pair[0]), ("", ""))
    return Label(task, task_from, tuple(sorted(cues)))


def read_sidecar(path: Path) -> tuple[str, list[tuple[float, float, str]]]:
    """Text of a file, and what of it has times. What cannot be read says nothing."""
    text = path.read_text("utf-8-sig", "replace")
    if path.suffix in (".srt", ".vtt"):
        return "", read_subtitles(text)
    if path.suffix == ".txt":
        return _tidy(text), []
    try:
        values = _json_values(path.suffix, text)
    except ValueError:
        return "", []
    timed = [cue for cue in map(_timed, values) if cue]
    plain = "" if timed else next(filter(None, map(text_in, values)), "")
    return plain, timed


def read_subtitles(text: str) -> list[tuple[float, float, str]]:
    """(start_s, end_s, text) of SubRip and WebVTT cues, markup removed."""
    found = []
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        cue = _CUE.search(block)
        if cue:
            said = _tidy(re.sub(r"<[^>]*>|\{[^}]*\}", "", block[cue.end() :].partition("\n")[2]))
            if said:
                found.append((_seconds(cue.groups()[:4]), _seconds(cue.groups()[4:]), said))
    return found


def read_table(path: Path) -> dict[str, str]:
    """Clip's name (as written, and without suffix) to text, of a json, jsonl or csv table."""
    text = path.read_text("utf-8-sig", "replace")
    if path.suffix == ".csv":
        rows: list[Any] = list(csv.DictReader(text.splitlines()))
    else:
        try:
            rows = _json_values(path.suffix, text)
        except ValueError:
            return {}
    if len(rows) == 1 and isinstance(rows[0], dict) and not _first(rows[0], NAME_KEYS):
        rows = [{"id": name, "text": text_in(value)} for name, value in rows[0].items()]
    found: dict[str, str] = {}
    for row in rows:
        name, said = _first(row, NAME_KEYS), text_in(row)
        if name and said:
            found[Path(name).name] = found[Path(name).stem] = said
    return found


def text_in(value: Any) -> str:
    """The text of a JSON value: itself, or under the first of TEXT_KEYS that says something."""
    if isinstance(value, str):
        return _tidy(value)
    if isinstance(value, list):
        return next(filter(None, map(text_in, value)), "")
    if isinstance(value, dict):
        return next(filter(None, (text_in(value.get(key)) for key in TEXT_KEYS)), "")
    return ""


def _json_values(suffix: str, text: str) -> list[Any]:
    if suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    value = json.loads(text)
    return value if isinstance(value, list) else [value]


def _timed(value: Any) -> tuple[float, float, str] | None:
    if not isinstance(value, dict):
        return None
    start, end = (
        next((value[k] for k in keys if k in value), None) for keys in (START_KEYS, END_KEYS)
    )
    said = text_in(value)
    if not isinstance(start, int | float) or not isinstance(end, int | float) or not said:
        return None
    return float(start), float(end), said


def _first(row: Any, keys: tuple[str, ...]) -> str:
    values = (row.get(key) for key in keys) if isinstance(row, dict) else ()
    return next((str(v) for v in values if isinstance(v, str | int) and str(v)), "")


def _seconds(clock: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, fraction = clock
    whole = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    return whole + float(f"0.{fraction}")


def _tidy(text: str) -> str:
    words = text.split()
    return " ".join(words if len(words) != 1 else text.replace("_", " ").split())
