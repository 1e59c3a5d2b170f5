"""The schema of results: what is read, and what is refused in one line."""

import json
import platform
from pathlib import Path
from typing import Any

import pytest

from robowm.errors import UserError
from robowm.machine import CPU_FLAGS, machine
from robowm.metrics.result import read_result

EPISODE = {"seed": 3, "success": False, "length": 50}


def write(path: Path, *episodes: Any, **fields: Any) -> Path:
    found = {"suite": "robosuite/Lift", "policy": "p", "episodes": list(episodes)} | fields
    path.write_text(json.dumps(found))
    return path


def test_a_first_result_is_read_without_the_newer_fields(tmp_path: Path) -> None:
    found = read_result(write(tmp_path / "r.json", EPISODE, EPISODE | {"seed": 4}))
    assert [e.key for e in found.episodes] == [("", 3), ("", 4)]
    assert found.episodes[0].end == "not said" and found.assets is None
    assert (found.training, found.machine, found.wall_time_s) == ({}, {}, None)
    assert not found.weightless  # nothing says that it was never trained


def test_everything_that_a_result_may_say(tmp_path: Path) -> None:
    success = {"seed": 3, "success": True, "length": 9, "layout": 5, "stage": "success"}
    failure = EPISODE | {"layout": 6, "stage": "missed grasp", "partial": {"moved": True}}
    stopped = EPISODE | {"layout": 7, "error": "NaN from the policy at step 4"}
    more = {"schema": 1, "assets": "stand-in", "settings": {"policy_sha256": None}}
    found = read_result(write(tmp_path / "r.json", success, failure, stopped, **more))
    assert [e.key for e in found.episodes] == [("5", 3), ("6", 3), ("7", 3)]
    assert [e.end for e in found.episodes] == ["success", "missed grasp", "stopped"]
    assert found.episodes[1].partial == {"moved": True}
    assert found.assets == "stand-in" and found.weightless


@pytest.mark.parametrize(
    ("episode", "said"),
    [
        ({"seed": 1.5}, "episode 1: seed is 1.5; expected int"),
        ({"success": 1}, "success is 1; expected bool"),
        ({"length": True}, "length is True; expected int"),
        ({"layout": 0.5}, r"layout is 0.5; expected int \| str \| null"),
        ({"stage": "droped"}, "no stage 'droped'. Did you mean 'dropped'"),
        ({"stage": "success"}, "stage 'success' contradicts success False"),
        ({"success": True, "error": "NaN"}, "yet counts as a success"),
        ({"seed": 3}, "two episodes of one layout and seed"),
    ],
)
def test_episodes_that_cannot_be_are_refused(
    tmp_path: Path, episode: dict[str, Any], said: str
) -> None:
    path = write(tmp_path / "r.json", EPISODE, EPISODE | {"seed": 4} | episode)
    with pytest.raises(UserError, match=rf"^{path}.*{said}") as caught:
        read_result(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "lacks suite, policy, episodes"),
        ('{"suite": "a/b", "policy": "p", "episodes": 50}', "lacks episodes"),
        ('{"suite": "a/b", "policy": "p", "episodes": []}', "no episodes"),
        ('{"suite": "a/b", "policy": "p", "episodes": [7]}', "episode 0 is 7; expected an object"),
        ('{"suite": "a/b", "policy": "p", "episodes": [], "schema": 9}', "has schema 9"),
    ],
)
def test_files_that_are_no_results_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        read_result(path)
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read_result(tmp_path / "absent.json")


def test_settings_that_are_no_object_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="settings is 'x'; expected an object"):
        read_result(write(tmp_path / "r.json", EPISODE, settings="x"))


def test_the_machine_is_this_one() -> None:
    found = machine()
    assert found["arch"] == platform.machine() and found["cores"] >= 1
    assert set(found["cpu_flags"]) <= set(CPU_FLAGS)
