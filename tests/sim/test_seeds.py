"""Seeds for evaluation, demonstrations and video never meet, nor do their layouts."""

from itertools import combinations

import numpy as np
import pytest

from robowm.errors import UserError
from robowm.sim.robosuite_env import RobosuiteEnv
from robowm.sim.seeds import DEMONSTRATION, EVALUATION, VIDEO, take


def test_blocks_are_disjoint_and_where_they_were_promised() -> None:
    firsts = [block[0] for block in (EVALUATION, DEMONSTRATION, VIDEO)]
    assert firsts == [0, 1_000_000, 2_000_000]
    assert EVALUATION[-1] == 999_999
    for one, other in combinations((EVALUATION, DEMONSTRATION, VIDEO), 2):
        assert one[-1] < other[0] or other[-1] < one[0]


def test_take_stays_in_its_block() -> None:
    assert list(take(DEMONSTRATION, 2, 3)) == [1_000_002, 1_000_003, 1_000_004]
    with pytest.raises(UserError, match=r"seed \+ episodes <= 1000000"):
        take(EVALUATION, 999_999, 2)
    with pytest.raises(UserError, match="seed >= 0"):
        take(EVALUATION, -1, 2)


def test_layouts_differ_within_and_between_blocks() -> None:
    env = RobosuiteEnv(size_px=16)
    places = []
    for seed in (*EVALUATION[:4], *DEMONSTRATION[:4], *VIDEO[:4]):
        env.reset(seed=seed)
        places.append(env._built()[0].privileged().objects["cube"].pos_m[:2])
    env.close()
    distances_m = [np.linalg.norm(a - b) for a, b in combinations(places, 2)]
    assert min(distances_m) > 1e-4
    assert np.abs(places).max() <= 0.03 + 1e-9  # robosuite's own range
