"""The command line is a promise: its flags change on purpose only, its errors are one line.

After changing a flag, renew the list and read the difference:
    .venv/bin/python tests/test_command_line.py > tests/command_line.txt
"""

import io
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from unittest.mock import patch

import pytest

from robowm import __version__
from robowm.__main__ import VERBS, main

pytestmark = pytest.mark.slow

HELP = "-h, --help"
FROZEN = Path(__file__).with_name("command_line.txt")


def command_line() -> list[str]:
    """Every verb with each of its flags and positional arguments, a line each."""
    return [f"{verb} {word}" for verb in VERBS for word in sorted(_flags(verb)) if word != HELP]


def _flags(verb: str) -> dict[str, str]:
    """What a verb's help lists, flags and positional arguments, each with its description."""
    found: dict[str, str] = {}
    box = word = ""
    for line in _help(verb).splitlines():
        inside = line.strip("│ ")
        if line.startswith("╭"):
            box, word = line, ""
        elif line.startswith("│ -") or ("positional" in box and re.match(r"│ \S", line)):
            word, *says = re.split(r"\s{2,}", inside, maxsplit=1)
            found[word] = " ".join(says)
        elif word and line.startswith("│  "):  # no room beside it, or a description's next line
            found[word] += inside
    return found


@cache
def _help(verb: str) -> str:
    shown = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")  # with an encoding: boxes are drawn
    with patch.dict(os.environ, COLUMNS="100", NO_COLOR="1"), redirect_stdout(shown):
        with pytest.raises(SystemExit) as end:
            main([verb, "--help"])
    assert end.value.code == 0
    shown.seek(0)
    return shown.read()


def test_flags_are_the_promised_ones() -> None:
    assert command_line() == FROZEN.read_text().splitlines()


@pytest.mark.parametrize("verb", VERBS)
def test_help_describes_every_flag(verb: str) -> None:
    flags = _flags(verb)
    assert HELP in flags
    silent = [word for word, says in flags.items() if not says.partition("(")[0].strip()]
    assert not silent, "say what it is for, and its unit"


def test_unknown_verb_suggests_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pretrian"]) == 2
    shown = capsys.readouterr().err
    assert "no verb 'pretrian'. Did you mean 'pretrain'? Allowed: compare, deploy," in shown
    assert len(shown.splitlines()) == 1


def test_unknown_flag_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["doctor", "--jsn"])
    assert end.value.code == 2
    assert "--json" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"robowm {__version__}\n"


def test_usage_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in VERBS)


def test_usage_loads_no_heavy_library() -> None:
    assert _loaded_by([["--help"]], {"torch", "numpy", "tyro", "rich"}) == "[]"


def test_help_loads_no_simulator_and_no_dataset_stack() -> None:
    heavy = {"lerobot", "mujoco", "robosuite", "kornia", "transformers", "accelerate"}
    assert _loaded_by([[verb, "--help"] for verb in VERBS], heavy) == "[]"


def _loaded_by(commands: list[list[str]], heavy: set[str]) -> str:
    code = f"""
import contextlib, sys
from robowm.__main__ import main
for words in {commands!r}:
    with contextlib.suppress(SystemExit):
        main(words)
print(sorted({heavy!r} & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return done.stderr.splitlines()[-1]


if __name__ == "__main__":
    print("\n".join(command_line()))
