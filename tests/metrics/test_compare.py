"""Arms held against each other: pairs, averages, what intervals claim, and mistakes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robowm.errors import UserError
from robowm.metrics.arms import Arm, arm
from robowm.metrics.compare import BOTH, LAYOUTS, compare
from robowm.metrics.hierarchical import over_runs
from robowm.metrics.intervals import paired_test, wilson
from robowm.metrics.result import Episode, Result

WELL = "1101101011"
BADLY = "1000101001"


def result(
    ends: str,
    suite: str = "robosuite/Lift",
    weights: str | None = "w",
    first_seed: int = 0,
    **fields: Any,
) -> Result:
    """A result whose episode i ended as `ends[i]` says, 1 for success."""
    episodes = [Episode(first_seed + i, end == "1", 50) for i, end in enumerate(ends)]
    known: dict[str, Any] = {
        "path": Path(f"{weights}_{suite.replace('/', '_')}.json"),
        "policy": "p",
        "settings": {"policy_sha256": weights} | fields.pop("settings", {}),
        "training": {},
        "assets": None,
        "versions": {},
        "machine": {},
        "wall_time_s": 1.0,
    }
    return Result(suite=suite, episodes=tuple(episodes), **(known | fields))


def one(name: str, *results: Result) -> Arm:
    return arm(name, [("", r) for r in results])


def array(ends: str) -> np.ndarray:
    return np.array([end == "1" for end in ends])


def test_two_policies_are_wilson_newcombe_and_mcnemar() -> None:
    found = compare([one("a", result(WELL)), one("b", result(BADLY))])
    (row,) = found["rows"]
    expected = paired_test(array(WELL), array(BADLY))
    (difference,) = row["differences"]
    assert difference["difference"] == pytest.approx(expected["difference"])
    assert difference["interval"] == list(expected["difference_interval"])
    assert difference["mcnemar"]["p_value"] == expected["p_value"]
    low, high = difference["layouts_bootstrap"]
    assert low < difference["difference"] < high and difference["covers"] == LAYOUTS
    assert row["rates"]["a"]["wilson"] == wilson(7, 10)
    assert row["rates"]["a"]["interval"] == pytest.approx(list(wilson(7, 10)))
    assert any("Trained once: a, b" in note for note in found["notes"])


def test_pairs_are_by_seed_and_not_by_place() -> None:
    longer = result("00" + WELL, weights="v", first_seed=-2)
    (row,) = compare([one("a", longer), one("b", result(BADLY))])["rows"]
    (difference,) = row["differences"]
    assert difference["pairs"] == 10
    assert difference["difference"] == pytest.approx(array(WELL).mean() - array(BADLY).mean())
    assert row["rates"]["a"]["episodes"] == 12


def test_layouts_are_part_of_a_pair() -> None:
    first = result("10")
    moved = [Episode(e.seed, e.success, e.length, layout=1) for e in first.episodes]
    other = result("10", weights="v")
    object.__setattr__(other, "episodes", tuple(moved))
    with pytest.raises(UserError, match="'a' and 'b' have no common seeds or layouts of robosuite"):
        compare([one("a", first), one("b", other)])


def test_several_trainings_are_an_interval_over_seeds_without_mcnemar() -> None:
    ours = [result(ends, weights=ends) for ends in ("1110111011", "1100111011", "1111101011")]
    theirs = [result(ends, weights=ends) for ends in ("1000101001", "1000001011", "0000101000")]
    found = compare([one("a", *ours), one("b", *theirs)])
    (difference,) = found["rows"][0]["differences"]
    arrays = [
        [np.array([[e.success for e in r.episodes] for r in results])] for results in (ours, theirs)
    ]
    expected = over_runs(*arrays)
    assert expected.runs is not None
    assert difference["interval"] == [expected.runs.low, min(1.0, expected.runs.high or 0)]
    assert difference["covers"] == BOTH and difference["mcnemar"] is None
    assert found["arms"]["a"]["runs"] == 3
    assert any("rests on 3 trainings" in note for note in found["notes"])
    with_one = compare([one("a", *ours), one("b", theirs[0])])["rows"][0]["differences"][0]
    assert with_one["covers"] == LAYOUTS
    with_null = compare([one("a", *ours), one("null", result("0000000000", weights=None))])
    assert with_null["rows"][0]["differences"][0]["covers"] == BOTH


def test_runs_with_the_same_draws_of_data_are_pairs() -> None:
    def trainings(ends: list[str], data: list[str]) -> list[Result]:
        return [
            result(e, weights=e + d, training={"seed": i, "data_sha256": d})
            for i, (e, d) in enumerate(zip(ends, data, strict=True))
        ]

    ours, theirs = ["1110111011", "1000110010"], ["1000101001", "0000000010"]
    b = one("b", *trainings(theirs, ["x", "y"]))
    matched = compare([one("a", *reversed(trainings(ours, ["x", "y"]))), b])
    assert matched["rows"][0]["differences"][0]["runs_matched_by_data"]
    assert "Trainings of a and b are paired by the data they had." in matched["notes"]
    for data in (["x", "z"], ["x", "x"]):
        apart = compare([one("a", *trainings(ours, data)), b])
        assert not apart["rows"][0]["differences"][0]["runs_matched_by_data"]


def test_averages_count_tasks_alike_and_leave_out_what_stands_apart() -> None:
    ends = {"simpler/spoon": "1110", "simpler/carrot": "0100", "simpler/eggplant": "1111"}
    arms = [
        one("a", *(result(e, suite) for suite, e in ends.items())),
        one("b", *(result("0000", suite, "v") for suite in ends)),
    ]
    rows = {r["title"]: r for r in compare(arms, ["simpler/eggplant"])["rows"]}
    assert list(rows) == [
        *("simpler/spoon", "simpler/carrot", "simpler/eggplant"),
        *("average", "average but for those apart"),
    ]
    assert rows["average"]["rates"]["a"]["success_rate"] == pytest.approx((0.75 + 0.25 + 1) / 3)
    table = rows["average but for those apart"]
    assert table["differences"][0]["difference"] == pytest.approx(0.5)
    assert table["differences"][0]["mcnemar"]["only_first"] == 4
    with pytest.raises(UserError, match=r"no such task here. Did you mean 'simpler/eggplant'"):
        compare(arms, ["simpler/egplant"])


def test_conditions_are_averaged_over_like_tasks() -> None:
    arms = [
        arm(n, [("1", result(few, weights=n)), ("3", result(more, weights=n + "3"))])
        for n, few, more in (("a", "1100", "1110"), ("b", "0000", "1100"))
    ]
    rows = {r["title"]: r for r in compare(arms)["rows"]}
    assert list(rows) == ["robosuite/Lift @ 1", "robosuite/Lift @ 3", "average"]
    assert rows["average"]["differences"][0]["difference"] == pytest.approx((0.5 + 0.25) / 2)


def test_outcomes_that_never_vary_are_not_taken_for_certain() -> None:
    none = [one(n, *(result("0" * 20, weights=n + str(i)) for i in range(3))) for n in "ab"]
    (row,) = compare(none)["rows"]
    assert row["rates"]["a"]["interval"] == pytest.approx(list(wilson(0, 20)))
    low, high = row["differences"][0]["interval"]
    assert low < -0.1 and high > 0.1 and row["differences"][0]["covers"] == LAYOUTS


def test_ends_are_counted_by_stage() -> None:
    stages = ("dropped", "dropped", "misplaced")
    episodes = [Episode(i, False, 9, stage=stage) for i, stage in enumerate(stages)]
    episodes += [Episode(8, False, 2, error="NaN from the policy"), Episode(9, True, 5)]
    found = result("")
    object.__setattr__(found, "episodes", tuple(episodes))
    said = compare([one("a", found)])
    counts = {"dropped": 2, "misplaced": 1, "stopped": 1, "success": 1}
    assert said["failures"] == {"a": {"robosuite/Lift": counts}}
    assert "1 episodes were stopped by an error and count as failed." in said["notes"]


def test_mistakes_in_an_arm_are_said() -> None:
    with pytest.raises(UserError, match="are of one policy; expected one file a training seed"):
        one("a", result(WELL), result(BADLY))
    with pytest.raises(UserError, match="2 of simpler/spoon, 1 of simpler/stack; expected every"):
        one(
            "a",
            *(result(WELL, "simpler/spoon", w) for w in "vw"),
            result(WELL, "simpler/stack", "v"),
        )
    with pytest.raises(UserError, match="no common seeds or layouts; expected the same episodes"):
        one("a", result(WELL), result(WELL, weights="v", first_seed=100))


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"suite": "robosuite/Door"}, "different suites: robosuite/Lift; robosuite/Door"),
        ({"first_seed": 500}, "no common seeds or layouts of robosuite/Lift"),
        ({"settings": {"robot": "UR5e"}}, r"robot differs \(Panda in w.*, UR5e in v"),
        ({"settings": {"max_steps": 9}}, "max_steps differs"),
        ({"assets": "own"}, r"assets differs \(stand-in in .*, own in"),
    ],
)
def test_arms_that_cannot_be_paired_are_refused(other: dict[str, Any], said: str) -> None:
    settings = {"robot": "Panda", "max_steps": 50}
    known = result(WELL, settings=settings, assets="stand-in")
    with pytest.raises(UserError, match=said) as caught:
        compare([one("a", known), one("b", result(BADLY, weights="v", **other))])
    assert "\n" not in str(caught.value)


def test_other_versions_are_a_note() -> None:
    arms = [one(v, result(WELL, weights=v, versions={"mujoco": v})) for v in ("3.8", "3.9")]
    assert "Results were made with mujoco 3.8 and 3.9." in compare(arms)["notes"]
