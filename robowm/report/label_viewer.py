"""The label viewer: clips as the labeller sees them, with camera, motion and codes over time."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robowm.artefact import write_text
from robowm.errors import UserError
from robowm.report import charts
from robowm.report.charts import Chart, line_chart
from robowm.report.media import Medium, embed
from robowm.report.template import environment

WIDTH, TRACK = 1000.0, 14.0  # of the strip of codes; height of one token's row
CAMERA_RANGE = (-0.5, 0.5)  # per cent and degrees: less is noise of the fit


@dataclass(frozen=True)
class Run:
    """A code that stays for a while.

    Attributes:
        x, width: in the strip's units.
        row: which token.
        code: its index; -1 where the transition is invalid.
        hue: degrees, the code's colour.
        says: for the pointer that rests on it.
    """

    x: float
    width: float
    row: int
    code: int
    hue: float
    says: str


@dataclass(frozen=True)
class Shown:
    """One clip as it stands on the page; `marks` are the sheet's columns on the strip of codes."""

    heading: str
    sheet: Medium
    columns: str
    camera: Chart
    motion: Chart
    runs: list[Run]
    marks: list[float]
    tokens: int
    ends: tuple[str, str]
    invalid: int
    transitions: int


def write_viewer(directory: Path) -> Path:
    """Write viewer.html from viewer.json and its pictures.

    Raises:
        UserError: no viewer.json there.
    """
    try:
        found = json.loads((directory / "viewer.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{directory} has no readable viewer.json ({error}).") from error
    clips = [show(clip, directory, found["codebook"]) for clip in found["clips"]]
    page = environment().get_template("viewer.html.j2")
    text = page.render(
        title="Labels, clip by clip",
        clips=clips,
        rows=found["rows"],
        codebook=[(code, hue(code, found["codebook"])) for code in range(found["codebook"])],
        box=charts,
        width=WIDTH,
        track=TRACK,
    )
    write_text(directory / "viewer.html", text)
    return directory / "viewer.html"


def show(clip: dict[str, Any], directory: Path, codebook: int) -> Shown:
    """Lay out one clip."""
    times = clip["times_s"]

    def over_time(values: list[float]) -> list[list[float]]:
        return [[t, v] for t, v in zip(times, values, strict=True)]

    camera = {f"{name}{_unit(name)}": over_time(v) for name, v in clip["camera"].items()}
    motion = {
        "speed, % of the side": over_time(clip["speed"]),
        "agreement of the camera fit": over_time(clip["agreement"]),
        "share of trusted pixels": over_time(clip["trusted"]),
    }
    seconds = ", ".join(f"{t:.1f}" for t in clip["columns_s"])
    return Shown(
        heading=clip["task"] or f"episode {clip['episode']}",
        sheet=embed(directory, clip["sheet"], "", directory),
        columns=f"episode {clip['episode']}; columns at {seconds} s",
        camera=line_chart("Camera, one transition", "seconds", camera, CAMERA_RANGE),
        motion=line_chart("Motion that is left", "seconds", motion, (0.0, 1.0)),
        runs=code_runs(clip["codes"], clip["valid"], codebook),
        marks=[_middle(times.index(t), len(times)) for t in clip["columns_s"]],
        tokens=len(clip["codes"][0]) if clip["codes"] else 0,
        ends=(f"{times[0]:.1f} s", f"{times[-1]:.1f} s"),
        invalid=sum(not v for v in clip["valid"]),
        transitions=len(times),
    )


def code_runs(codes: list[list[int]], valid: list[bool], codebook: int) -> list[Run]:
    """Codes (T-1, K) as coloured stretches, one row a token; a stretch ends where the code does."""
    runs = []
    step = WIDTH / max(1, len(codes))
    for row in range(len(codes[0]) if codes else 0):
        track = [own[row] if ok else -1 for own, ok in zip(codes, valid, strict=True)]
        begun = 0
        for t in range(1, len(track) + 1):
            if t == len(track) or track[t] != track[begun]:
                code = track[begun]
                name = "invalid" if code < 0 else f"code {code}"
                says = f"token {row}, transitions {begun} to {t - 1}: {name}"
                x, width = round(begun * step, 1), round((t - begun) * step, 1)
                runs.append(Run(x, width, row, code, hue(code, codebook), says))
                begun = t
    return runs


def hue(code: int, codebook: int) -> float:
    """Colour of a code, degrees; neighbours are far apart."""
    return round(360 * code / max(1, codebook), 1)


def _middle(at: int, count: int) -> float:
    return round(WIDTH * (at + 0.5) / count, 1)


def _unit(name: str) -> str:
    return ", degrees" if name == "rotation" else ", %"
