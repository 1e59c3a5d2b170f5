"""SIMPLER's google-robot tasks: the visual-matching protocol of each.

The numbers are those of the original's evaluation scripts (`scripts/*_visual_matching.sh`) and of
its environments. Where the two name different environments (moving near: v0 in scripts and in the
tool that made the published figures, v1 in the ready-made task) the scripts count.
"""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from robowm.sim.google.protocol import Part, Protocol, Stand


def _grid(x_m: tuple[float, float, int], y_m: tuple[float, float, int]) -> tuple[Any, ...]:
    """Places evenly from the first to the second number, so many each way; y fastest."""
    places = product(np.linspace(*x_m).tolist(), np.linspace(*y_m).tolist())
    return tuple({"init_xy": list(place)} for place in places)


CAN = Protocol(
    text="pick coke can",
    parts=tuple(
        Part("pick coke can", "GraspSingleOpenedCokeCanInScene-v0", {how: True})
        for how in ("lr_switch", "upright", "laid_vertically")
    ),
    stands=(Stand(0.35, 0.20, 0.0, "google_coke_can_real_eval_1.png"),),
    objects=_grid((-0.35, -0.12, 5), (-0.02, 0.42, 5)),
    max_steps=80,
    scene="google_pick_coke_can_1_v4",
    measures={
        "held": "is_grasped",
        "grasped": "grasped",
        "grasped_5_steps": "consec_grasp",
        "lifted_2cm_steps": "n_lift_significant",
    },
)
NEAR = Protocol(
    text="move one object near another",
    parts=(Part("move one object near another", "MoveNearGoogleBakedTexInScene-v0"),),
    stands=(Stand(0.35, 0.21, -0.09, "google_move_near_real_eval_1.png"),),
    objects=tuple({"episode_id": number} for number in range(60)),
    max_steps=80,
    scene="google_pick_coke_can_1_v4",
    measures={
        "moved": "moved_correct_obj",
        "moved_another": "moved_wrong_obj",
        "near_target": "near_tgt_obj",
        "nearest_to_target": "is_closest_to_tgt",
        "none_fell": "all_obj_keep_height",
    },
    large=(
        "custom/models/baked_opened_redbull_can/textured.dae",
        "custom/models/blue_plastic_bottle/textured.dae",
    ),
)
CABINET = {
    "station_name": "mk_station_recolor",
    "light_mode": "simple",
    "disable_bad_material": True,
}
STANDS = tuple(
    Stand(x_m, y_m, yaw_rad, f"open_drawer_{name}.png")
    for name, x_m, y_m, yaw_rad in (
        ("a0", 0.644, -0.179, -0.03),
        ("a1", 0.765, -0.182, -0.02),
        ("a2", 0.889, -0.203, -0.06),
        ("b0", 0.652, 0.009, 0.0),
        ("b1", 0.752, 0.009, 0.0),
        ("b2", 0.851, 0.035, 0.0),
        ("c0", 0.665, 0.224, 0.0),
        ("c1", 0.765, 0.222, -0.025),
        ("c2", 0.865, 0.222, -0.025),
    )
)
DRAWERS = ("top", "middle", "bottom")
OPEN, CLOSE = (
    Protocol(
        text=f"{verb} drawer",
        parts=tuple(
            Part(
                f"{verb} {drawer} drawer",
                f"{verb.title()}{drawer.title()}DrawerCustomInScene-v0",
            )
            for drawer in DRAWERS
        ),
        stands=STANDS,
        objects=({},),
        max_steps=113,
        scene="dummy_drawer",
        measures={"opening_m": "qpos"},
        build=CABINET,
        ray_traced=True,
    )
    for verb in ("open", "close")
)
APPLE = Protocol(
    text="place apple into top drawer",
    parts=(Part("place apple into top drawer", "PlaceIntoClosedTopDrawerCustomInScene-v0"),),
    stands=STANDS[::3],
    objects=_grid((-0.08, -0.02, 3), (-0.02, 0.08, 3)),
    max_steps=200,
    scene="dummy_drawer",
    measures={
        "opening_m": "qpos",
        "opened": "is_drawer_open",
        "touched_drawer_steps": "has_contact",
    },
    build=CABINET | {"model_ids": "baked_apple_v2"},
    ray_traced=True,
)


def _each(whole: Protocol, *names: str) -> dict[str, Protocol]:
    """Every part of a protocol as a task of its own."""
    pairs = zip(names, whole.parts, strict=True)
    return {name: replace(whole, text=part.text, parts=(part,)) for name, part in pairs}


# The original's names without `google_robot_`.
PROTOCOLS = {
    "pick_coke_can": CAN,
    **_each(CAN, "pick_horizontal_coke_can", "pick_standing_coke_can", "pick_vertical_coke_can"),
    "move_near": NEAR,
    "open_drawer": OPEN,
    **_each(OPEN, *(f"open_{drawer}_drawer" for drawer in DRAWERS)),
    "close_drawer": CLOSE,
    **_each(CLOSE, *(f"close_{drawer}_drawer" for drawer in DRAWERS)),
    "place_apple_in_closed_top_drawer": APPLE,
}
