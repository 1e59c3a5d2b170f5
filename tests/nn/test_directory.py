"""Model directories: the words about one that is not there."""

from pathlib import Path

import pytest

from robowm.errors import UserError
from robowm.nn.directory import resolve


def test_a_mistyped_directory_is_told_from_what_lies_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs" / "lift-policy").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"Hub id owner/name. Did you mean 'runs/lift-policy'\?"):
        resolve("./runs/lift-polciy")  # three parts: not meant for the Hub
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"a model the Hub gives: .* Did you mean 'runs/lift-po"):
        resolve("runs/lift-polciy")
    with pytest.raises(UserError, match=r"Hub id owner/name\.$"):
        resolve(tmp_path / "elsewhere" / "lift-policy")
