"""Runs every test and writes `reality.json`; a killed run goes on with the test it was in."""

import json
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from robowm.artefact import open_stage, plain, write_json
from robowm.batch import LatentActions
from robowm.episodes import DEFAULT_LABELS, Episodes
from robowm.errors import UserError, nearest
from robowm.latent.labeller import Labeller
from robowm.latent.reality.algebra import NAMES, algebra, relate
from robowm.latent.reality.clips import write_clips
from robowm.latent.reality.codebook import codebook_use, on_disk
from robowm.latent.reality.config import RealityConfig
from robowm.latent.reality.footage import Latents, Measured, Sample, draw_sample
from robowm.latent.reality.leaks import camera_leak, distractor_leak
from robowm.latent.reality.probes import probes
from robowm.latent.reality.redraw import cut_test, psnr_gain
from robowm.latent.reality.result import Result, finite, not_run
from robowm.latent.reality.source import (
    Source,
    dataset_digest,
    find_source,
    fresh_episodes,
    stored_codes,
)
from robowm.latent.reality.transfer import cycle, transfer, transfer_to_others
from robowm.latent.reality.truth import Readings, read_truth
from robowm.latent.reality.verdict import Verdict, judge
from robowm.machine import machine
from robowm.nn.directory import fingerprint
from robowm.progress import progress

UNTRAINED_SEED = 0xF3E5
MOVING_TESTS = {
    "camera_leak": "Camera motion in the latent action",
    "distractor_leak": "A passing object in the latent action",
    "transfer": "A motion moved to another scene",
    "cycle": "Read again from the imagined transition",
    "psnr_gain": "Next frame from its own latent action",
    **NAMES,
    "cut": "Across a cut",
}
PROBE_TESTS = {
    "probe_linear": "True action, ridge probe",
    "probe_mlp": "True action, MLP probe",
}


@dataclass(frozen=True)
class Report:
    """What was written, and what it says."""

    directory: Path
    verdict: Verdict
    results: list[dict[str, Any]]
    warnings: list[str]


def reality(
    labels: str,
    config: RealityConfig,
    out: Path | None = None,
    truth: Path | None = None,
    on: Path | None = None,
    camera: str | None = None,
    name: str = DEFAULT_LABELS,
) -> Report:
    """Run the battery.

    Args:
        labels: labelled dataset, or a labeller directory or Hub id with `on`.
        config: how much is tested.
        out: directory for reality.json, viewer.json and pictures; None is DATASET/reality, or
            reality.NAME.
        truth: dataset with true actions; None takes the judged dataset's own, where it has them.
        on: dataset to judge a labeller on.
        camera: image column of the judged dataset.
        name: of the dataset's label set.

    Raises:
        UserError: no labeller, no dataset, frames of another size, or only training clips.
    """
    source = find_source(labels, on, camera, name)
    labeller = Labeller.load(source.model)
    episodes = sized(source.dataset, source.camera, labeller)
    settings = {
        "config": plain(config),
        "labeller": fingerprint(source.model),
        "dataset": dataset_digest(episodes),
        "camera": source.camera,
        "truth": dataset_digest(Episodes(truth)) if truth else None,
    }
    default = "reality" if name == DEFAULT_LABELS else f"reality.{name}"
    stage = open_stage(out or source.dataset / default, "reality_report", settings)
    if not stage.done:
        _run(stage.work, source, labeller, episodes, truth, config)
        stage.finish()
    found = json.loads((stage.out / "reality.json").read_text())
    return Report(stage.out, Verdict(**found["verdict"]), found["tests"], found["warnings"])


def sized(dataset: Path, camera: str | None, labeller: Latents) -> Episodes:
    """A dataset whose frames the labeller can read.

    Raises:
        UserError: they have another size.
    """
    episodes = Episodes(dataset)
    key = episodes.camera(camera)
    height, width = episodes.features[key]["shape"][:2]
    size = labeller.config.size_px
    if (height, width) != (size, size):
        raise UserError(
            f"{dataset} has frames of {width}x{height} pixels; the labeller expects {size}x{size}."
        )
    return episodes


def _run(
    work: Path,
    source: Source,
    labeller: Labeller,
    episodes: Episodes,
    truth: Path | None,
    config: RealityConfig,
) -> None:
    warnings = list(source.warnings)
    tests: dict[str, Callable[[], list[Result]]] = {
        "probes": lambda: _probes(source, labeller, episodes, truth, config, warnings),
        "moving": lambda: moving_tests(
            labeller,
            draw_sample(labeller, episodes, source.camera, source.chosen, config.pairs),
            without_compensation(labeller),
        ),
        "codes": lambda: _codes(work, source, labeller, episodes, config),
    }
    wanted = [name.strip() for name in config.tests.split(",")]
    if unknown := [name for name in wanted if name not in tests]:
        raise UserError(f"--tests {config.tests}: no {unknown[0]!r}. {nearest(unknown[0], tests)}")
    tests = {name: test for name, test in tests.items() if name in wanted}
    judged: list[Result] = []
    with progress("reality", len(tests)) as advance:
        for name, test in tests.items():
            kept = work / f"done_{name}.json"
            if not kept.is_file():
                write_json(kept, {"tests": finite(plain(test())), "warnings": warnings})
            done = json.loads(kept.read_text())
            judged += [Result(**found) for found in done["tests"]]
            warnings = done["warnings"]
            advance(1)
    for name in tests:
        (work / f"done_{name}.json").unlink()
    write_json(
        work / "reality.json",
        {
            "verdict": judge(judged),
            "tests": judged,
            "warnings": warnings,
            "labeller": {"directory": source.model.name, "sha256": fingerprint(source.model)},
            "dataset": episodes.root.name,
            "truth": truth.name if truth else None,
            "episodes": source.chosen,
            "config": config,
            "versions": {
                name: version(name) for name in ("robowm", "torch", "numpy", "opencv-python")
            },
            "machine": machine(),
        },
    )


def _probes(
    source: Source,
    labeller: Labeller,
    episodes: Episodes,
    truth: Path | None,
    config: RealityConfig,
    warnings: list[str],
) -> list[Result]:
    readings: Readings | str
    if truth is None and config.truth_column not in episodes.features:
        readings = (
            f"no truth: {episodes.root.name} has no column {config.truth_column!r} and --truth was "
            "not given"
        )
    else:
        known, key, chosen = episodes, source.camera, source.chosen
        if truth is not None:
            known = sized(truth, None, labeller)
            key = known.camera()
            chosen, more = fresh_episodes(source.model, source.training, known, key)
            warnings += [line for line in more if line not in warnings]
            if known.fps != episodes.fps:
                warnings.append(
                    f"The truth has {known.fps} frames a second and {episodes.root.name} "
                    f"{episodes.fps}: one transition is not the same length of time."
                )
        readings = read_truth(
            labeller,
            untrained(labeller),
            known,
            key,
            chosen,
            config.truth_column,
            config.dims,
            config.span,
            config.truth_transitions,
        )
    if isinstance(readings, str):
        return [not_run(name, title, readings) for name, title in PROBE_TESTS.items()]
    return probes(readings, config.probe_gate, config.with_frame, config.folds)


def moving_tests(
    labeller: Latents, sample: Sample | str, uncompensated: Latents | None = None
) -> list[Result]:
    """Every test that needs moving transitions but no truth.

    Args:
        labeller: the one that is judged.
        sample: transitions that it did not train on, or why there are none.
        uncompensated: the same labeller with camera compensation off.
    """
    if isinstance(sample, str):
        return [not_run(name, title, sample) for name, title in MOVING_TESTS.items()]
    now = sample.now
    return [
        camera_leak(labeller, uncompensated, now),
        distractor_leak(labeller, now),
        *_transfers(labeller, now),
        psnr_gain(labeller, now),
        *algebra(relate(labeller, sample)),
        cut_test(labeller, now),
    ]


def _transfers(labeller: Latents, now: Measured) -> list[Result]:
    if len(set(now.episode.tolist())) < 2:
        reason = "there is no other scene: one episode was kept from training"
        return [not_run(name, MOVING_TESTS[name], reason) for name in ("transfer", "cycle")]
    moved = transfer_to_others(labeller, now)
    return [transfer(now, moved), cycle(labeller, now, moved)]


def _codes(
    work: Path, source: Source, labeller: Labeller, episodes: Episodes, config: RealityConfig
) -> list[Result]:
    chosen = _spread([e for e in source.chosen if episodes.lengths[e] > 1], config.code_clips)
    clips: list[LatentActions] = [labeller.clip(episodes.frames(e, source.camera)) for e in chosen]
    shown = _spread(list(range(len(chosen))), config.clips)
    write_clips(
        work,
        labeller,
        episodes,
        source.camera,
        [chosen[i] for i in shown],
        [clips[i] for i in shown],
    )
    stored = stored_codes(episodes, source.model, chosen)
    return [codebook_use(clips, labeller.config.codes), on_disk(clips, stored)]


def _spread(values: Sequence[int], count: int) -> list[int]:
    """At most `count` of the values, evenly spread."""
    if len(values) <= count:
        return list(values)
    return [values[i * len(values) // count] for i in range(count)]


def untrained(labeller: Labeller) -> Labeller:
    """The same network with fresh weights of a fixed seed: what architecture alone gives."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(UNTRAINED_SEED)
        network = type(labeller.network)(labeller.config)
    return replace(labeller, network=network.eval())


def without_compensation(labeller: Labeller) -> Labeller:
    """The same weights, but what the camera did stays in flow and frames."""
    network = copy(labeller.network)
    motion = replace(labeller.config.motion, compensate_camera=False)
    network.config = replace(labeller.config, motion=motion)
    return replace(labeller, network=network)
