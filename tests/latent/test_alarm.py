"""The collapse alarm rings on each way of saying nothing, and is silent otherwise."""

import pytest
import torch

from robowm.latent.alarm import CollapseWatch, complaints, health


def live(n: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(n, 4, 8, generator=g), torch.randint(0, 8, (n, 4), generator=g)


def test_live_latents_raise_no_alarm() -> None:
    found = health(*live(), codebook=8)
    assert found.dead == 0 and found.perplexity == pytest.approx(8, abs=0.1)
    assert found.spread == pytest.approx(1, abs=0.05) and found.alike < 0.05
    assert complaints(found) == []


def test_one_label_for_everything() -> None:
    z, _ = live()
    said = complaints(health(z, torch.full((400, 4), 3), codebook=8))
    assert any("100% of transitions have one and the same label" in line for line in said)
    assert any("perplexity 1.0 of 8 codes" in line for line in said)
    # the codebook is well used, each position says always the same
    said = complaints(health(z, torch.tensor([[0, 2, 4, 6]]).expand(400, 4), codebook=8))
    assert len(said) == 1 and "one and the same label" in said[0]


def test_half_of_the_codebook_dead() -> None:
    z, codes = live()
    said = complaints(health(z, codes % 3, codebook=8))
    assert len(said) == 1 and said[0].startswith("5 of 8 codes are dead")
    assert complaints(health(z[:20], codes[:20] % 3, codebook=8)) == []  # too few to tell


def test_vectors_that_do_not_vary_also_without_codes() -> None:
    z, _ = live()
    constant = 5 + 0.01 * z
    assert "z hardly varies" in complaints(health(constant))[0]
    assert complaints(health(z)) == []


def test_invalid_codes_are_left_out() -> None:
    z, codes = live()
    codes[:100] = -1
    assert health(z, codes, codebook=8).perplexity == pytest.approx(8, abs=0.1)


def test_the_watch_asks_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    watch = CollapseWatch(8, every=10, from_step=20)
    z, codes = live(8)
    for step in range(1, 31):
        watch.see(z, codes if step <= 20 else torch.zeros_like(codes))
        watch.warn(step)
    assert [step for step, _ in watch.log] == [10, 20, 30]
    lines = capsys.readouterr().err.splitlines()
    assert lines and all(line.startswith("collapse alarm, step 30: ") for line in lines)
