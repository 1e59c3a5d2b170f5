"""One loop: two steps, stop, two more are the same as four; nothing is pickled."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from robowm.nn.quantise import NSVQ
from robowm.train.loop import TrainConfig, drop_checkpoints, schedule, train, use_bf16


class Model(nn.Module):
    """Layers with the things that could break exactness: buffers, noise, codes that move."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 4)
        self.quantiser = NSVQ(4, 4)
        self.outer = nn.Linear(4, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(self.quantiser(self.inner(x))[0])


def loss_of(model: nn.Module, rng: np.random.Generator, share: float) -> tuple[Tensor, dict]:
    x = torch.from_numpy(rng.normal(size=(8, 6))).float()
    loss = (model(x) - x).square().mean()
    return loss, {"share": share}


def run(work: Path, steps: int, total: int) -> Model:
    torch.manual_seed(0)
    model = Model()

    class Stop(Exception):
        pass

    def after_step(done: int) -> None:
        if done == 2:
            model.quantiser.replace_dead()
        if done == steps + 1:
            raise Stop  # as a kill would, with one step more done than was saved

    config = TrainConfig(steps=total, batch_size=8, warmup_steps=1, checkpoint_every_s=0)
    with suppress(Stop):
        train(model, loss_of, config, work, "test", after_step)
    return model


def test_a_resumed_run_has_the_same_weights(tmp_path: Path) -> None:
    whole = run(tmp_path / "a", 4, 4)
    run(tmp_path / "b", 2, 4)
    assert [p.name for p in (tmp_path / "b").glob("checkpoint-*")] == ["checkpoint-00000002"]
    resumed = run(tmp_path / "b", 4, 4)
    for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    curves = [(tmp_path / d / "curves.json").read_text() for d in "ab"]
    assert curves[0] == curves[1]


def test_checkpoints_hold_no_pickle_and_can_be_dropped(tmp_path: Path) -> None:
    run(tmp_path, 4, 4)
    kinds = {p.suffix for p in tmp_path.rglob("*") if p.is_file()}
    assert kinds == {".json", ".safetensors"}
    drop_checkpoints(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["curves.json"]


def test_the_rate_rises_then_falls() -> None:
    config = TrainConfig(steps=100, warmup_steps=10)
    rates = [schedule(step, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == rates[9] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.02, abs=0.01)


def test_precision_can_be_forced() -> None:
    assert use_bf16("bf16") and not use_bf16("float32")
    assert isinstance(use_bf16("auto"), bool)


def test_two_stops_are_as_good_as_one(tmp_path: Path) -> None:
    whole = run(tmp_path / "a", 5, 5)
    for stop in (1, 3, 5):
        resumed = run(tmp_path / "b", stop, 5)
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_one_process_trains_in_one_precision_after_another(tmp_path: Path) -> None:
    heard: list[torch.dtype] = []

    def listening(model: nn.Module, rng: np.random.Generator, share: float) -> tuple[Tensor, dict]:
        model.inner.register_forward_hook(lambda _, __, out: heard.append(out.dtype))
        return loss_of(model, rng, share)

    for precision in ("bf16", "float32", "bf16"):
        config = TrainConfig(steps=1, precision=precision)
        train(Model(), listening, config, tmp_path / str(len(heard)), "test")
    assert heard == [torch.bfloat16, torch.float32, torch.bfloat16]
