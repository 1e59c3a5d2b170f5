"""The sentences claim what was shown and no more."""

import pytest

from robowm.report.words import difference, duration, verdict


def paired(both: int, first: int, second: int, neither: int, p: float) -> dict:
    delta = (first - second) / max(1, both + first + second + neither)
    return {
        "both": both,
        "only_first": first,
        "only_second": second,
        "neither": neither,
        "p_value": p,
        "difference": delta,
        "difference_interval": [delta - 0.1, delta + 0.1],
    }


def test_inconclusive_claims_nothing() -> None:
    said = verdict(paired(30, 4, 2, 14, 0.6875))
    assert said == (
        "6 of 50 seeds differ (4 for pretrained, 2 for scratch); p = 0.69: no difference shown."
    )


def test_better_names_the_better_and_its_limits() -> None:
    said = verdict(paired(20, 15, 3, 12, 0.0075))
    assert "p = 0.0075: the pretrained policy succeeded more often." in said
    assert "trained once" in said


def test_worse_is_said_as_plainly() -> None:
    said = verdict(paired(20, 3, 15, 12, 0.0075))
    assert "the scratch policy succeeded more often." in said
    assert "trained once" in said


def test_identical() -> None:
    said = verdict(paired(20, 0, 0, 30, 1.0))
    assert said == "On all 50 seeds both policies ended alike: no difference shown."


def test_nothing_paired() -> None:
    assert verdict(paired(0, 0, 0, 0, 1.0)) == "No paired episodes: nothing to compare."


@pytest.mark.parametrize(
    ("p", "words"),
    [(0.0000012, "p < 0.001:"), (0.0496, "p = 0.0496: the pret"), (0.0504, "p = 0.0504: no diff")],
)
def test_p_values_near_an_edge_stay_on_their_side(p: float, words: str) -> None:
    assert words in verdict(paired(10, 20, 9, 11, p))


def test_difference_in_points() -> None:
    assert difference(paired(30, 2, 4, 14, 0.7)) == "−4 points (95 % interval −14 to +6)"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.44, "0.4 s"),
        (59.7, "1 min 0 s"),
        (12.2, "12 s"),
        (192.4, "3 min 12 s"),
        (7300, "2 h 1 min"),
    ],
)
def test_duration(seconds: float, words: str) -> None:
    assert duration(seconds) == words
