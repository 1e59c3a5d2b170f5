"""NSVQ: nearest code in use, an error of the same length in training, no dead codes."""

import pytest
import torch

from robowm.nn.quantise import NSVQ, perplexity


def test_in_use_it_is_the_nearest_code() -> None:
    torch.manual_seed(0)
    quantiser = NSVQ(8, 4).eval()
    x = torch.randn(5, 3, 4)
    quantised, index = quantiser(x)
    distances = (x[..., None, :] - quantiser.codebook).norm(dim=-1)
    assert torch.equal(index, distances.argmin(-1))
    assert torch.equal(quantised, quantiser.codebook[index])


def test_training_noise_has_the_length_of_the_error() -> None:
    torch.manual_seed(0)
    quantiser = NSVQ(8, 4).train()
    x = torch.randn(64, 4, requires_grad=True)
    quantised, index = quantiser(x)
    wanted = (x - quantiser.codebook[index]).norm(dim=-1)
    torch.testing.assert_close((quantised - x).norm(dim=-1), wanted)
    quantised.square().sum().backward()
    assert x.grad is not None and x.grad.abs().sum() > 0
    assert quantiser.codebook.grad is not None and quantiser.codebook.grad.abs().sum() > 0


def test_dead_codes_move_next_to_used_ones() -> None:
    torch.manual_seed(0)
    quantiser = NSVQ(8, 2).train()
    with torch.no_grad():
        quantiser.codebook[:] = torch.arange(8.0)[:, None] * 100
    x = torch.cat([torch.zeros(50, 2), torch.full((50, 2), 100.0)])
    quantiser(x)
    assert quantiser.replace_dead() == 6
    near = torch.cdist(quantiser.codebook, torch.tensor([[0.0, 0], [100, 100]])).min(1).values
    assert near.max() < 40
    assert quantiser.usage.sum() == 0


def test_one_living_code_is_enough_to_revive_the_rest() -> None:
    torch.manual_seed(0)
    quantiser = NSVQ(4, 2).train()
    quantiser(quantiser.codebook[:1].detach().expand(20, 2))
    assert quantiser.replace_dead() == 3
    assert torch.isfinite(quantiser.codebook).all()


@pytest.mark.parametrize(("use", "wanted"), [([0, 0, 0, 0], 1.0), ([0, 1, 2, 3], 4.0)])
def test_perplexity_at_its_ends(use: list[int], wanted: float) -> None:
    assert perplexity(torch.tensor(use), 8) == pytest.approx(wanted)
