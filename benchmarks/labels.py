"""What the latent actions of preset `small` know: the reality battery, over training seeds.

    python benchmarks/labels.py still --work DIR --json benchmarks/results/labels_still.json
    python benchmarks/labels.py shaken --work DIR --json benchmarks/results/labels_shaken.json
    python benchmarks/labels.py real --corpus ../shared/corpus --work DIR \
        --json benchmarks/results/labels_real.json

still, shaken: robosuite, five arms, Lift and Stack, a camera that stands elsewhere in each
episode (`same_place`: always in one place), and is moved like a camera in a hand. The labeller
sees frames of `train` only; the battery judges it on `eval`, other seeds, against how far the hand
moved (`ee_delta`, metres in the world frame).
real: trained on the corpus's clips without actions, judged on the labelled sets of DROID (two outer
cameras), Bridge and RT-1, whose own pictures it has not seen; and, without truth, on clips of the
corpus that were kept from training (`corpus`).
The first training seed is judged by the whole battery and in one place, the others by the probes.
Seeds for tuning were 600,000 and on (`--tune`). Goes on where it was killed. `--threads 1` and
several `--only-seed` side by side use all cores best; the call without `--only-seed` then finds
them done and writes the JSON.
"""

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro
from _versions import made_with
from record_truth import Args as Recording
from record_truth import main as record_truth

from robowm import recipes
from robowm.artefact import plain, write_json
from robowm.latent.reality.battery import reality
from robowm.latent.reality.config import RealityConfig
from robowm.train.label import label
from robowm.video.ingest import ingest

SEEDS = {"train": 500_000, "tune": 600_000, "eval": 700_000}
REAL = {
    "droid_outer_1": ("droid", "ctrlworld_droid/droid_subset", "0"),
    "droid_outer_2": ("droid", "ctrlworld_droid/droid_subset", "1"),
    "bridge": ("bridge", "octo_bridge_rlds", "0"),
    "rt1": ("rt1", "vpp_instances/rt1", None),
}
TARGETS = {
    "still": {"probe_linear": 0.80},
    "shaken": {"probe_linear": 0.60, "camera_leak": 0.2},
    "real": {"probe_linear, mean over DROID, Bridge, RT-1": 0.5, "above every baseline": 0.1},
    "all": {"transfer": 0.7, "transfer over random latents": 0.5, "cut": 0.5},
}


@dataclass(frozen=True)
class Args:
    """Flags."""

    scene: Annotated[Literal["still", "shaken", "real"], tyro.conf.Positional]
    """what is filmed"""
    work: Path
    """scratch directory; several scenes may share it"""
    json: Path
    """result"""
    corpus: Path | None = None
    """for `real`: folder with clips/, pool_droid/ and labelled/"""
    steps: int = 0
    """training steps; 0: the preset's"""
    seeds: int = 3
    """training seeds"""
    only_seed: int | None = None
    """do this one only, and write no JSON"""
    train_on: Literal["still", "shaken"] | None = None
    """scene whose video the labeller is trained on; none: the one that it is judged on"""
    train_episodes: int = 100
    """simulated episodes without actions to train on"""
    eval_episodes: int = 60
    """simulated episodes to judge on"""
    tune: bool = False
    """judge on the seeds for tuning"""
    threads: int = 0
    """threads of a process; 0: all cores"""


def main(args: Args) -> None:
    """Film or ingest, label with each seed, judge, summarise."""
    import torch

    if args.threads:
        torch.set_num_threads(args.threads)
    train, truths = _data(args)
    chosen = [args.only_seed] if args.only_seed is not None else range(args.seeds)
    runs = [_run(args, train, truths, seed) for seed in chosen]
    if args.only_seed is None:
        write_json(args.json, _result(args, runs))
        print(args.json.read_text())


def _data(args: Args) -> tuple[Path, dict[str, Path]]:
    """The dataset to train on, and the ones with truth."""
    if args.scene != "real":
        judged = "tune" if args.tune else "eval"
        counts = {"train": args.train_episodes, judged: args.eval_episodes}
        scenes = {"train": args.train_on or args.scene, judged: args.scene}
        out = {name: args.work / f"{scene}_{name}" for name, scene in scenes.items()}
        for name, episodes in counts.items():
            shake = float(scenes[name] == "shaken")
            record_truth(Recording(out[name], episodes, SEEDS[name], 128, 1.0, shake))
        truths = {args.scene: out[judged]}
        if args.scene == "still":  # and with the camera in one and the same place
            truths["still_same_place"] = args.work / f"same_place_{judged}"
            same = Recording(truths["still_same_place"], args.eval_episodes, SEEDS[judged], 128, 0)
            record_truth(same)
        return out["train"], truths
    assert args.corpus is not None, "--corpus is needed for real clips"
    spec = replace(recipes.load("datasets/clips_folder").SPEC, fps=5)
    train = args.work / "corpus"
    cores = len(os.sched_getaffinity(0))
    ingest([args.corpus / "clips", args.corpus / "pool_droid"], train, spec, cores)
    truths = {}
    for name, (recipe, folder, camera) in REAL.items():
        truths[name] = args.work / name
        module = recipes.load(f"datasets/{recipe}")
        source = args.corpus / "labelled" / folder
        cameras = (camera,) if camera else ()
        ingest([source], truths[name], module.SPEC, cores, module.find, cameras, keep_actions=True)
    return train, truths


def _run(args: Args, train: Path, truths: dict[str, Path], seed: int) -> dict[str, Any]:
    config = recipes.load("policies/vipra").RECIPES["small"]().label
    steps = args.steps or config.train.steps
    config = replace(config, train=replace(config.train, seed=seed, steps=steps))
    name = f"seed{seed}"
    begun = time.monotonic()
    label(train, config, labels=name)
    found: dict[str, Any] = {"seed": seed, "label_s": round(time.monotonic() - begun, 1)}
    everything = RealityConfig(truth_column="ee_delta", dims="0,1,2", pairs=128, code_clips=20)
    probes = replace(everything, tests="probes")
    # other seeds, other places: only the question that the target is about
    first = seed == 0
    judged = {
        truth_name: (truth, everything if first and truth_name == args.scene else probes)
        for truth_name, truth in truths.items()
        if first or truth_name == args.scene
    }
    if args.scene == "real":  # the corpus's own clips have no truth, but they are many
        judged = {truth_name: (truth, probes) for truth_name, truth in truths.items()}
        if first:
            judged["corpus"] = train, replace(everything, tests="moving,codes")
    for truth_name, (truth, questions) in judged.items():
        out = args.work / f"reality_{args.scene}_{truth_name}_{name}_{steps}"
        report = reality(str(train / f"labels.{name}" / "model"), questions, out, on=truth)
        tests = [test for test in report.results if test["name"] != "on_disk"]  # a check of files
        found[truth_name] = {test["name"]: _short(test) for test in tests}
        found[truth_name]["verdict"] = report.verdict.outcome
    return found | {"config": plain(config)}


def _short(test: dict[str, Any]) -> dict[str, Any]:
    if test["passed"] is None:
        return {"not_run": test["reason"]}
    details = test["details"]
    kept = {key: details[key] for key in ("per_dimension", "gap_to_random") if key in details}
    return {key: test[key] for key in ("value", "baselines", "unit", "passed")} | kept


def _result(args: Args, runs: list[dict[str, Any]]) -> dict[str, Any]:
    flags = {k: v for k, v in vars(args).items() if not isinstance(v, Path)}
    return {
        "command": f"python benchmarks/labels.py {args.scene} --work DIR --json FILE",
        "flags": flags,
        "summary": {
            truth: {
                name: _spread([run[truth][name] for run in runs if name in run.get(truth, {})])
                for name in runs[0][truth]
                if name != "verdict" and "value" in runs[0][truth][name]
            }
            for truth in runs[0]
            if isinstance(runs[0][truth], dict) and truth != "config"
        },
        "targets": TARGETS[args.scene] | TARGETS["all"],
        **made_with("robowm", "torch", "opencv-python", "robosuite", "mujoco"),
        "runs": runs,
    }


def _spread(tests: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean over training seeds with the smallest and largest; baselines the same way."""

    def over(values: list[float]) -> list[float]:
        return [round(float(f(values)), 3) for f in (np.mean, min, max)]

    baselines = {
        words: over([test["baselines"][words]["value"] for test in tests])
        for words in tests[0]["baselines"]
    }
    values = [test["value"]["value"] for test in tests]
    return {"seeds": len(tests), "mean_min_max": over(values), "baselines": baselines}


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
