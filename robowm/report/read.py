"""Reads a run directory: JSON files by their names, wherever in it they stand.

    results.json            the table, the paired test, times, versions
    **/eval_*.json          rollouts of one policy; what follows eval_ is the policy's name
    **/curves.json          learning curves
    **/gallery.json         pictures with captions
    **/ingest/summary.json  what became of the clips
    **/control_map.json     how well latent actions tell a robot's controls

Each is optional. Half-made stages (`.NAME.partial`) are not looked at.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robowm.errors import UserError

Json = dict[str, Any]
STAGES = ("ingest", "label", "pretrain", "finetune", "eval")  # the order on the page
BORROWED = "decoder"  # the folder of a policy with another's map
KNOWN = (
    "results.json, eval_*.json, curves.json, gallery.json, ingest/summary.json, control_map.json"
)


@dataclass(frozen=True)
class Found:
    """One JSON file of a run.

    Attributes:
        path: where it stands; media named in it are relative to its directory.
        name: the stage or policy it belongs to, for a heading.
        value: what it holds.
    """

    path: Path
    name: str
    value: Json


@dataclass(frozen=True)
class Run:
    """What a run directory holds, every part of it possibly empty.

    Attributes:
        root: the directory.
        results: results.json.
        ingest: what became of the clips.
        curves: learning curves, in the order of the stages.
        galleries: pictures, likewise.
        evals: evaluations, `pretrained` and `scratch` first.
        maps: from latent actions to controls, one for each policy that has its own.
    """

    root: Path
    results: Json
    ingest: Json
    curves: list[Found]
    galleries: list[Found]
    evals: list[Found]
    maps: list[Found]

    def lacks(self) -> list[str]:
        """What this run has not got, in words."""
        parts = {
            "results (results.json)": self.results,
            "rollouts (eval_*.json)": self.evals,
            "clips (ingest/summary.json)": self.ingest,
            "pictures (gallery.json)": self.galleries,
            "learning curves (curves.json)": self.curves,
        }
        return [words for words, part in parts.items() if not part]


def read_run(root: Path) -> Run:
    """Read every known file under `root`.

    Raises:
        UserError: not a directory, nothing known in it, or a file that is not what its name says.
    """
    root = Path(root)
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise UserError(f"{root} {what}; expected a run directory, such as runs/quickstart.")
    results = _read(root, "results.json")
    summaries = [f for f in _read(root, "**/summary.json") if f.name == "ingest"]
    for found in summaries:
        _need(found, "kept", "dropped")
    run = Run(
        root=root,
        results=results[0].value if results else {},
        ingest=summaries[0].value if summaries else {},
        curves=_read(root, "**/curves.json", "series"),
        galleries=_read(root, "**/gallery.json", "items"),
        evals=_evals(root),
        maps=[f for f in _read(root, "**/control_map.json", "held_out") if f.name != BORROWED],
    )
    if not any((run.results, run.ingest, run.curves, run.galleries, run.evals, run.maps)):
        raise UserError(f"{root} holds nothing to report; expected one or more of {KNOWN}.")
    return run


def _evals(root: Path) -> list[Found]:
    files = _read(root, "**/eval_*.json", "episodes", "successes", "success_rate", "interval")
    named = [Found(f.path, f.path.stem.removeprefix("eval_"), f.value) for f in files]
    known = ("pretrained", "scratch")
    return sorted(named, key=lambda f: (known.index(f.name) if f.name in known else 9, f.name))


def _read(root: Path, pattern: str, *needed: str) -> list[Found]:
    paths = [p for p in root.glob(pattern) if not _hidden(p.relative_to(root))]
    found = []
    for path in sorted(paths, key=lambda p: (_stage(p.relative_to(root)), str(p))):
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{path} is not JSON ({error}); run its stage again.") from error
        found.append(Found(path, path.parent.name, value))
        _need(found[-1], *needed)
    return found


def _need(found: Found, *fields: str) -> None:
    has = found.value.keys() if isinstance(found.value, dict) else []
    lacking = [field for field in fields if field not in has]
    if lacking or not isinstance(found.value, dict):
        wanted = ", ".join(fields) or "an object"
        raise UserError(f"{found.path} lacks {', '.join(lacking) or 'fields'}; expected {wanted}.")


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _stage(path: Path) -> int:
    """Where on the page: by the first directory named for a stage, the nameless last."""
    for part in path.parts[:-1]:
        for number, stage in enumerate(STAGES):
            if part.startswith(stage):
                return number
    return len(STAGES)
