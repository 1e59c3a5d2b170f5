"""A log gets a line now and then, with what remains."""

import pytest

from robowm.progress import progress


def test_the_last_line_says_all_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("flow", total=3, done=1) as advance:
        advance()
        advance(loss=0.25)
    said = capsys.readouterr().err.splitlines()
    assert said == ["flow: 3/3, about 0 s left  loss 0.25"]
