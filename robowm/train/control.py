"""The map from latent actions to controls, fitted to a policy's own demonstrations."""

from collections.abc import Sequence

import numpy as np

from robowm.episodes import DEFAULT_LABELS, Episodes, label_columns
from robowm.policy.control_map import ControlMap, Labelled
from robowm.train.pretrain import one_labeller


def fit_control_map(
    demos: Sequence[Episodes], labels: str = DEFAULT_LABELS, neighbours: int = 1
) -> ControlMap | None:
    """The map of the demonstrations' robot; None where they have no latent actions of that name.

    Args:
        demos: datasets with `action`, of one robot.
        labels: the label set, of one labeller.
        neighbours: transitions before and after that are read along with each.

    Raises:
        UserError: labels of different labellers, or too few valid ones.
    """
    vectors, _, valid = label_columns(labels)
    if not all(vectors in some.features for some in demos):
        return None
    labeller = one_labeller(demos, labels)["sha256"]
    whole = [(some, i) for some in demos for i in range(len(some))]
    lengths = [int(some.lengths[i]) for some, i in whole]

    def column(name: str) -> np.ndarray:
        return np.concatenate([some.column(name, i) for some, i in whole])

    names = demos[0].features["action"].get("names")
    actions = column("action")
    axes = tuple(names) if isinstance(names, list) else tuple(map(str, range(actions.shape[1])))
    shown = Labelled(
        latents=column(vectors),
        valid=column(valid).astype(bool).reshape(-1),
        actions=actions,
        episode=np.repeat(np.arange(len(whole)), lengths),
    )
    robot = demos[0].info.get("robot_type") or "unknown"
    return ControlMap.fit(shown, robot, axes, neighbours, labeller)
