"""Outlines of what will be taken: asked for by words, and where their middle is."""

import torch

from robowm.policy.taken import TakenFinder, middle, outline_loss


def blob(at: tuple[int, int], size_px: int = 64) -> torch.Tensor:
    """(1, S, S) of a bar, 6 by 14 pixels, whose upper left corner is `at`."""
    outline = torch.zeros(1, size_px, size_px)
    outline[:, at[1] : at[1] + 6, at[0] : at[0] + 14] = 1
    return outline


def test_the_middle_hardly_depends_on_where_the_hand_is_expected() -> None:
    outlines = blob((20, 30))
    true = torch.tensor([[27, 33.0]]) / 32 - 1
    for away in ((0.2, 0.0), (-0.15, 0.2), (0.0, -0.25)):
        at, there = middle(outlines, true + torch.tensor([away]))
        assert there.all()
        assert (at - true).norm() < 0.02  # 0.6 of 64 pixels


def test_of_two_the_one_near_the_hand_is_meant_and_specks_are_nothing() -> None:
    outlines = blob((2, 2)) + blob((46, 50))
    at, _ = middle(outlines, torch.tensor([[0.5, 0.6]]))
    torch.testing.assert_close(at, torch.tensor([[53, 53.0]]) / 32 - 1, atol=0.02, rtol=0)
    speck = torch.zeros(1, 64, 64)
    speck[0, 10, 10] = 1
    near = torch.tensor([[0.9, 0.9]])
    at, there = middle(speck, near)
    assert not there.any()
    at, there = middle(torch.zeros(1, 64, 64), near)
    assert not there.any() and torch.equal(at, near)


def test_samples_whose_outline_is_not_known_teach_nothing() -> None:
    logits = torch.randn(3, 8, 8, requires_grad=True)
    outlines = torch.rand(3, 8, 8).round()
    outlines[1] = torch.nan
    outline_loss(logits, outlines).backward()
    assert logits.grad is not None
    assert logits.grad[0].any() and logits.grad[2].any() and not logits.grad[1].any()
    assert outline_loss(logits, torch.full((3, 8, 8), torch.nan)) == 0


def test_words_say_which_of_two_things_is_outlined() -> None:
    torch.manual_seed(0)
    net = TakenFinder(8, 4)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)

    def scene(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Pictures of a red and a green square; asked for the red (0) or the green (1)."""
        picture, which = torch.full((count, 3, 32, 32), 0.5), torch.randint(0, 2, (count,))
        outline = torch.zeros(count, 32, 32)
        for i in range(count):
            for colour in (0, 1):
                x, y = torch.randint(0, 26, (2,)).tolist()
                picture[i, :, y : y + 5, x : x + 5] = torch.eye(3)[colour][:, None, None]
                if colour == which[i]:
                    outline[i] = 0
                    outline[i, y : y + 5, x : x + 5] = 1
                else:
                    outline[i, y : y + 5, x : x + 5] = 0
        return picture, torch.eye(4)[which], outline

    for _ in range(150):
        picture, asked, outline = scene(16)
        loss = outline_loss(net(torch.zeros(16, 8, 8, 8), picture, asked), outline)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    picture, asked, outline = scene(64)
    found = net(torch.zeros(64, 8, 8, 8), picture, asked) > 0
    both, either = (found & (outline > 0)).sum(), (found | (outline > 0)).sum()
    assert both / either > 0.8  # of the other thing, or of both: at most half
