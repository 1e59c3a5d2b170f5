"""A loss or gradient that is not finite stops training before the weights are spoilt."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from robowm.errors import UserError
from robowm.train.loop import TrainConfig, drop_checkpoints, schedule, train


@dataclass(frozen=True)
class Pair:
    """A batch such as the stages have."""

    x: Tensor
    facts: dict[str, Tensor]


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 1)

    def forward(self, batch: Pair, words: list[str]) -> tuple[Tensor, dict[str, float]]:
        return (self.second(self.first(batch.x)) - batch.facts["y"]).square().mean(), {}


def run(work: Path, bad: float, steps: int = 6, **settings: object) -> Model:
    torch.manual_seed(0)
    model = Model()

    def loss_of(
        ready: nn.Module, rng: np.random.Generator, share: float
    ) -> tuple[Tensor, dict[str, float]]:
        x = torch.from_numpy(rng.normal(size=(4, 2))).float()
        if round(share * steps) == 3:
            x[1, 1] = bad
        return ready(Pair(x, {"y": torch.ones(4, 1)}), ["words"])

    config = TrainConfig(
        steps=steps, warmup_steps=0, precision="float32", checkpoint_every_s=0, **settings
    )
    train(model, loss_of, config, work, "test", rates={"first.": 0.0})
    return model


@pytest.mark.parametrize("bad", [float("nan"), 1e25])
def test_the_batch_is_kept_and_the_weights_are_not_spoilt(bad: float, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"stopped at step 4: the loss is (nan|inf)\. The batch is"):
        run(tmp_path, bad)
    kept = safetensors.torch.load_file(tmp_path / "bad_batch-00000004.safetensors")
    assert set(kept) == {"0.x", "0.facts.y"}
    torch.testing.assert_close(kept["0.x"][1, 1], torch.tensor(bad), equal_nan=True)
    weights = safetensors.torch.load_file(tmp_path / "checkpoint-00000003" / "model.safetensors")
    assert all(torch.isfinite(w).all() for w in weights.values())
    drop_checkpoints(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_gradient_that_is_not_finite_stops_too(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="step 4: the gradient is inf"):
        run(tmp_path, 1e19)  # its square is finite in the loss, the gradient's norm is not
    assert (tmp_path / "bad_batch-00000004.safetensors").is_file()


def test_good_batches_are_not_kept(tmp_path: Path) -> None:
    run(tmp_path, 1.0)
    assert not list(tmp_path.glob("bad_batch*"))


def test_parts_of_a_model_can_learn_more_slowly(tmp_path: Path) -> None:
    torch.manual_seed(0)
    before, after = Model(), run(tmp_path, 1.0, weight_decay=0.0)
    assert torch.equal(before.first.weight, after.first.weight)
    assert not torch.equal(before.second.weight, after.second.weight)


def test_the_rate_can_stay_where_it_is() -> None:
    config = TrainConfig(steps=100, warmup_steps=0, final_rate=1.0)
    assert {schedule(step, config) for step in range(100)} == {1.0}
