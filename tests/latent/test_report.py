"""The quick report at the end of `label`: its formulas, and memory that does not grow with it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from robowm.episodes import Episodes
from robowm.latent.model import LatentActionConfig, LatentActionModel
from robowm.latent.report import MOVING_PX, reality
from robowm.latent.transitions import TransitionStore, batches, measure
from robowm.motion.config import MotionConfig
from robowm.train.label import encode_all

SEVERAL = 7  # transitions at once, of 24


@pytest.fixture(scope="module")
def store(make_dataset, tmp_path_factory) -> TransitionStore:
    folder: Path = tmp_path_factory.mktemp("report")
    episodes = Episodes(make_dataset(folder / "data", episodes=3))
    return measure(episodes, episodes.camera(), folder / "t", MotionConfig(), 1)


@pytest.fixture(scope="module")
def network() -> LatentActionModel:
    torch.manual_seed(0)
    return LatentActionModel(LatentActionConfig(size_px=32, width=32)).eval()


@torch.no_grad()
def test_the_figures_are_those_of_all_transitions_in_one_batch(store, network) -> None:
    labels = encode_all(network, store)
    rows = np.arange(len(store))
    found = reality(network, store, rows, labels)
    batch = store.batch(rows)
    latent, _ = network.encode(batch)
    picture, flow = network.decode(batch.first, latent)
    moving = batch.mask * (batch.flow.norm(dim=1, keepdim=True) * 2 > MOVING_PX)
    assert 0 < moving.mean() < 0.5
    error = ((picture - batch.second) ** 2).mean(1, keepdim=True)[moving > 0].mean()
    still = ((batch.first - batch.second) ** 2).mean(1, keepdim=True)[moving > 0].mean()
    alike = torch.cosine_similarity(flow, batch.flow, dim=1)[:, None][moving > 0].mean()
    assert found.psnr_true == pytest.approx(-10 * error.log10().item(), abs=1e-3)
    assert found.psnr_still == pytest.approx(-10 * still.log10().item(), abs=1e-3)
    assert found.flow_cosine == pytest.approx(alike.item(), abs=1e-4)
    assert found.transitions == len(store) == 24


def test_few_at_a_time_say_the_same_as_all_at_once(store, network, monkeypatch) -> None:
    rows = np.arange(len(store))
    whole = encode_all(network, store)
    judged = reality(network, store, rows, whole)
    seen, take = [], TransitionStore.batch

    def noted(self: TransitionStore, chosen: np.ndarray):
        seen.append(len(chosen))
        return take(self, chosen)

    monkeypatch.setattr(TransitionStore, "batch", noted)
    monkeypatch.setattr("robowm.latent.transitions.BATCH", SEVERAL)
    parts = encode_all(network, store)
    again = reality(network, store, rows, parts)
    assert max(seen) == SEVERAL and sum(seen) == 3 * len(store)
    np.testing.assert_array_equal(parts.codes, whole.codes)
    np.testing.assert_allclose(parts.vectors, whole.vectors, atol=1e-6)
    for name, value in vars(judged).items():
        assert getattr(again, name) == pytest.approx(value, abs=1e-4), name


def test_nothing_held_out_is_judged_as_nothing(store, network) -> None:
    found = reality(network, store, np.zeros(0, np.int64), encode_all(network, store))
    assert found.transitions == 0 and found.psnr_true == 0 and found.perplexity >= 1


def test_batches_take_every_transition_once() -> None:
    rows = np.arange(100)
    assert np.concatenate([rows[part] for part in batches(100)]).tolist() == rows.tolist()
    assert batches(0) == []
