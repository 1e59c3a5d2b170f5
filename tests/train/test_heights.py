"""Heights that depend on the task and the phase together are learnt in a short training, too."""

from collections.abc import Mapping

import torch

from robowm.policy.goal_decoder import GoalDecoder
from robowm.policy.shown import DecoderConfig, Practice
from robowm.train.finetune import RATES
from robowm.train.loop import TrainConfig, _groups, schedule
from robowm.world.backbone import BackboneConfig

TASKS = ["put the spoon on the towel", "put carrot on plate", "stack the green block", "eggplant"]
# cm, as SIMPLER's demonstrations have them: before the grasp, carrying, and when all is done
HEIGHTS = torch.tensor([[1.5, 2.4, 7.0], [1.8, 2.4, 7.4], [1.6, 6.3, 11.0], [8.8, 15.6, 20.7]])
DEVIATION_CM = 6.4
GRIPPER = torch.tensor([1.1, -1.4, 1.1])  # open, shut, open: normalised
STEPS = 400


def error_cm(rates: Mapping[str, float]) -> torch.Tensor:
    """(4, 3), after a training."""
    torch.manual_seed(0)
    shape = BackboneConfig(size_px=32, grid=2, points=2, channels=16, depth=1, heads=2)
    net = GoalDecoder(DecoderConfig(shape, state_dim=4, state_frames=3, state_places=(0, 1, 2)))
    net.reader.cameras.know(torch.eye(3, 4)[None] + 0.1, torch.zeros(1, 256))
    config = TrainConfig(steps=STEPS, learning_rate=1e-3)
    groups = _groups(torch.nn.ModuleDict({"decoder": net}), rates)
    optimiser = torch.optim.AdamW(groups, weight_decay=config.weight_decay, betas=(0.9, 0.99))

    def practice(task: torch.Tensor, phase: torch.Tensor) -> Practice:
        state, told = torch.zeros(len(task), 3, 4), torch.zeros(len(task), 2, 4)
        state[..., -1] = GRIPPER[phase, None]
        after = (phase + 1).clamp_max(2)
        told[..., 2] = torch.stack([HEIGHTS[task, phase], HEIGHTS[task, after]], 1) / DEVIATION_CM
        done = (phase == 2).float()
        nothing = torch.zeros(len(task), 1, 1)
        return Practice(state, told, nothing, nothing[..., 0] > 0, told, task, TASKS, done)

    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * schedule(step, config) * group["share"]
        moments = practice(torch.randint(4, (256,)), torch.randint(3, (256,)))
        optimiser.zero_grad()
        net._height(moments)["height_l1"].backward()
        optimiser.step()
    every = practice(torch.arange(4).repeat_interleave(3), torch.arange(3).repeat(4))
    assert every.asked is not None and every.done is not None and every.told is not None
    words = net.backbone.words(TASKS)[every.asked]
    found = net.reader.blind(words, every.state[..., -1], every.done)[:, 0, 2]
    off = (found - every.told[:, 0, 2]).detach().abs() * DEVIATION_CM
    return off.unflatten(0, (4, 3))


def test_a_grasp_is_as_high_as_it_was_demonstrated() -> None:
    assert error_cm(RATES).max() < 0.3
    assert error_cm({}).max() > 1.0  # at the rate of what sees, it would not be
