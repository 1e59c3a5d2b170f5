"""The battery in one word: are these labels better than labels that mean nothing?"""

from collections.abc import Sequence
from dataclasses import dataclass

from robowm.latent.reality.result import Result

REAL, MISSED, NOTHING = "real", "gates missed", "no better than the baselines"
EXIT_CODE = 3  # of the command line, when the outcome is NOTHING


@dataclass(frozen=True)
class Verdict:
    """What the tests come to.

    Attributes:
        outcome: REAL, MISSED or NOTHING.
        sentence: the same for people.
        no_better: titles of the deciding tests in which labels are not better than baselines.
        missed: titles of the tests whose gate is missed.
        not_run: titles of the tests that could not be made, with the reason.
    """

    outcome: str
    sentence: str
    no_better: list[str]
    missed: list[str]
    not_run: list[str]


def judge(results: Sequence[Result]) -> Verdict:
    """The verdict; a test that was not run never counts against the labels.

    Labels are no better than the baselines when a deciding test says so. Whether they say
    anything is decided by the probes of true actions, or, where there is no truth, by transfer and
    ΔPSNR; one of a pair is enough. Collapsed codes and picture codes decide by themselves.
    """
    probes = [r for r in results if r.name.startswith("probe_") and r.better is not None]
    drawn = [r for r in results if r.name in ("transfer", "psnr_gain") and r.better is not None]
    says = probes or drawn
    worse = [] if any(r.better for r in says) else [r.title for r in says]
    worse += [r.title for r in results if r.better is False and r not in probes + drawn]
    missed = [r.title for r in results if r.passed is False]
    absent = [f"{r.title}: {r.reason}" for r in results if r.passed is None]
    made = [r for r in results if r.passed is not None]
    passed = f"{len(made) - len(missed)} of {len(made)} gates are met"
    truth = "" if probes else " Nothing was compared with true actions."
    if worse:
        outcome = NOTHING
        sentence = (
            f"These labels are NOT shown to be better than labels that mean nothing "
            f"({', '.join(worse)}). Do not train on them. {passed}.{truth}"
        )
    elif missed:
        outcome = MISSED
        sentence = (
            f"These labels say more than the baselines, but miss: {', '.join(missed)}. "
            f"{passed}.{truth}"
        )
    else:
        outcome = REAL
        sentence = f"These labels describe motion: {passed}.{truth}"
    if not made:
        sentence = "No test could be made."
    return Verdict(outcome, sentence, worse, missed, absent)
