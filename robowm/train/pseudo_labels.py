"""The map to controls at work: for video that has none, and for policies that emit latent actions.

The first is what Baker et al. ("Video PreTraining", 2022) do with an inverse-dynamics model, with
latent actions and a linear map in its place.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from robowm.episodes import Episodes
from robowm.errors import UserError
from robowm.policy.control_map import ControlMap
from robowm.train.labels_on_disk import provenance_in

STD = "control_std"  # not "action...": lerobot would take it for one


def map_for(source: Episodes, controls: Path, labels: str) -> ControlMap:
    """The map to controls that a policy's directory holds, once it is known to fit the labels.

    Raises:
        UserError: there is none, or it was fitted to latent actions of another labeller.
    """
    found = ControlMap.load(controls)
    if found.labeller != provenance_in(source, labels)["sha256"]:
        raise UserError(
            f"the map to controls in {controls} was fitted to the latent actions of another "
            f"labeller than the labels {labels!r} of {source.root}; expected one labeller for "
            "demonstrations and video (`robowm label --labeller`)."
        )
    return found


def decoder_for(views: Sequence[Episodes], directory: Path) -> ControlMap:
    """The map to controls that decodes what a policy on these views emits.

    Raises:
        UserError: there is none, or the actions of a view are not the latents that it reads.
    """
    found = ControlMap.load(directory)
    for view in views:
        made_by = (view.features["action"].get("info") or {}).get("sha256")
        if made_by != found.labeller:
            raise UserError(
                f"the actions of {view.root} are not the latent actions that the map to controls "
                f"in {directory} reads; expected a view that `robowm label --as-action` made with "
                "the same labeller, without --controls."
            )
    return found


def decode(
    source: Episodes, vectors: str, spans: Iterable[tuple[int, int, int]], controls: ControlMap
) -> dict[str, np.ndarray]:
    """`action` and its standard deviation of all rows of some spans, float32 (N, A) each.

    Args:
        source: the labelled dataset.
        vectors: its column of latent actions.
        spans: episode, first row in it, and rows; all valid.
        controls: what reads them.
    """
    means, widths = zip(
        *(
            controls.decode(source.column(vectors, episode)[start : start + length])
            for episode, start, length in spans
        ),
        strict=True,
    )
    return {"action": np.concatenate(means), STD: np.concatenate(widths)}
