"""Where the objects lie: SIMPLER's evaluation layouts, and random ones that keep clear of them.

Positions are in metres in the simulator's world: the arm stands at +x and looks towards -x, z is
up, the table's top is z = 0.87. Orientations are quaternions, w first. An object's *heading* is the
direction of its long axis (its own x axis), seen from above.

ManiSkill's `reset()` draws from the evaluation layouts only; demonstrations from it would train on
the test. So every layout that is not an evaluation is drawn here.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import permutations, product

import numpy as np

NUM_EVALUATED = 24
TABLE_CENTRE_M = (-0.16, 0.0)
BASKET_M = (-0.125, 0.025, 1.0)  # the target is a plane in the basket, dropped from here
SINK_CENTRE_M = (-0.105, 0.206)
EGGPLANT_Z_M = 0.933
# ManiSkill's eight rolls of the eggplant, w first
EGGPLANT_QUATERNIONS = (
    (0.543729, 0.82549, 0.0746101, 0.131747),
    (0.559342, 0.817133, -0.138906, -0.0116353),
    (0.543029, 0.789388, -0.267736, -0.101503),
    (-0.40751, -0.532897, 0.652644, 0.352154),
    (-0.157154, 0.235481, 0.75148, -0.595927),
    (-0.020137, 0.0213848, 0.953791, -0.299033),
    (-0.108854, 0.337692, 0.897378, -0.262348),
    (0.366114, 0.618434, 0.571457, 0.396152),
)
UPRIGHT = (1.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Layout:
    """One placement of a task's two objects, before they settle.

    Attributes:
        source_m, target_m: (x, y, z), metres.
        source_quaternion, target_quaternion: (w, x, y, z).
    """

    source_m: tuple[float, ...]
    target_m: tuple[float, ...]
    source_quaternion: tuple[float, ...] = UPRIGHT
    target_quaternion: tuple[float, ...] = UPRIGHT

    def heading_rad(self) -> float:
        """Direction of the source's long axis from above, in (-pi, pi]."""
        w, x, y, z = self.source_quaternion
        return math.atan2(2 * (x * y + w * z), w * w + x * x - y * y - z * z)


@dataclass(frozen=True)
class Area:
    """What random layouts of a task are drawn from.

    Attributes:
        half_side_m: of the square in which source and (on the table) target lie.
        apart_m: least distance of the two, so that they do not touch whatever their heading.
        margin_m, margin_rad: a layout is *at* another when both objects lie nearer than this to
            the other's and the headings differ by less; random ones are at no evaluation layout.
        turned: the source has any heading; else the one of the evaluation, 0.
    """

    half_side_m: float
    apart_m: float = 0.125
    margin_m: float = 0.02
    margin_rad: float = np.pi / 12
    turned: bool = True


AREAS = {
    "spoon": Area(0.10),
    "carrot": Area(0.10),
    "stack": Area(0.11, apart_m=0.07, turned=False),
    # the evaluation's eight places fill 2 x 3 cm of the sink
    "eggplant": Area(0.03, apart_m=0.0, margin_m=0.01),
}


@cache
def official(task: str) -> tuple[Layout, ...]:
    """ManiSkill's own layouts in its order: 24; eggplant 64, of which 24 are evaluated."""
    if task == "eggplant":
        places = product(
            np.linspace(-0.01, 0.01, 2) + SINK_CENTRE_M[0],
            np.linspace(-0.015, 0.015, 4) + SINK_CENTRE_M[1],
        )
        return tuple(
            Layout((float(x), float(y), EGGPLANT_Z_M), BASKET_M, quaternion)
            for (x, y), quaternion in product(places, EGGPLANT_QUATERNIONS)
        )
    pairs = [pair for side in _SIDES_M[task] for pair in permutations(_corners(side), 2)]
    source_z, target_z = _HEIGHTS_M[task]
    return tuple(
        Layout((*source, source_z), (*target, target_z), _turned(UPRIGHT, yaw))
        for (source, target), yaw in product(pairs, _YAWS_RAD[task])
    )


def random_layouts(task: str, seed: int, quarter: bool = False) -> Iterator[Layout]:
    """Layouts drawn by seed, at none of SIMPLER's: the first is the seed's, those after it take
    its place where it will not do.

    Args:
        task: a key of AREAS.
        seed: the same one, the same layouts.
        quarter: the source lies in one quarter of its area only (towards -x and -y): for narrow
            demonstrations.
    """
    rng = np.random.default_rng([seed, 7])
    avoided = official(task)
    while True:
        layout = _draw(task, rng, quarter)
        if layout is not None and not any(at(layout, other, AREAS[task]) for other in avoided):
            yield layout


def at(one: Layout, other: Layout, area: Area) -> bool:
    """Whether two layouts are the same but for the area's margins."""
    if math.dist(one.source_m[:2], other.source_m[:2]) >= area.margin_m:
        return False
    if math.dist(one.target_m[:2], other.target_m[:2]) >= area.margin_m:
        return False
    turn_rad = one.heading_rad() - other.heading_rad()
    return abs(math.remainder(turn_rad, 2 * math.pi)) < area.margin_rad


def _draw(task: str, rng: np.random.Generator, quarter: bool) -> Layout | None:
    area = AREAS[task]
    source, target = rng.uniform(-area.half_side_m, area.half_side_m, (2, 2))
    if quarter:
        source = (source - area.half_side_m) / 2
    yaw_rad = float(rng.uniform(-np.pi, np.pi)) if area.turned else 0.0
    if task == "eggplant":
        quaternion = EGGPLANT_QUATERNIONS[rng.integers(len(EGGPLANT_QUATERNIONS))]
        x, y = source + SINK_CENTRE_M
        turned = _turned(quaternion, yaw_rad)
        return Layout((float(x), float(y), EGGPLANT_Z_M), BASKET_M, turned)
    if np.linalg.norm(source - target) < area.apart_m:
        return None
    places = ((float(x), float(y)) for x, y in (source + TABLE_CENTRE_M, target + TABLE_CENTRE_M))
    (x, y), (u, v) = places
    source_z, target_z = _HEIGHTS_M[task]
    return Layout((x, y, source_z), (u, v, target_z), _turned(UPRIGHT, yaw_rad))


def _corners(half_side_m: float) -> list[tuple[float, float]]:
    x, y = TABLE_CENTRE_M
    return [(x + i * half_side_m, y + j * half_side_m) for i, j in product((-1, 1), repeat=2)]


def _turned(quaternion: tuple[float, ...], yaw_rad: float) -> tuple[float, ...]:
    """The orientation turned about the vertical."""
    c, s = math.cos(yaw_rad / 2), math.sin(yaw_rad / 2)
    w, x, y, z = quaternion
    return (c * w - s * z, c * x - s * y, c * y + s * x, c * z + s * w)


_SIDES_M = {"spoon": (0.075,), "carrot": (0.075,), "stack": (0.05, 0.10)}
_YAWS_RAD = {"spoon": (0.0, np.pi / 2), "carrot": (np.pi, -np.pi / 2), "stack": (0.0,)}
# source, target: a little above where they come to rest
_HEIGHTS_M = {"spoon": (0.88, 0.875), "carrot": (0.887529, 0.869532), "stack": (0.887529, 0.887529)}
