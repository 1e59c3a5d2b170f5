"""Goals are remembered: the first look at what comes after next counts, unless it was moved."""

import numpy as np
import torch
from lerobot.configs import FeatureType, PolicyFeature

from robowm.batch import Observation
from robowm.policy.configuration_vipra import VipraConfig
from robowm.policy.goal_memory import ELSEWHERE, NEWEST, GoalMemory
from robowm.policy.lerobot_controller import LeRobotController
from robowm.policy.modeling_vipra import VipraPolicy
from robowm.policy.processor_vipra import make_vipra_pre_post_processors

CAMERA = "observation.images.front"
GRASP, RELEASE, END = torch.tensor([[0.0, 0, 0], [2.0, 0, 0], [4.0, 0, 0]])


def aside(place: torch.Tensor, by: float) -> torch.Tensor:
    """The place, foretold `by` off."""
    return place + torch.tensor([0.0, by, 0.0])


def test_the_first_look_at_what_comes_after_is_kept_until_its_turn_is_over() -> None:
    memory = GoalMemory()
    first = memory.steadied(torch.stack([GRASP, RELEASE]), True)
    torch.testing.assert_close(first, torch.stack([GRASP, RELEASE]))
    near = memory.steadied(torch.stack([aside(GRASP, 0.4), aside(RELEASE, 0.5)]), True)
    torch.testing.assert_close(near[0], aside(GRASP, 0.4 * NEWEST))  # a running mean
    torch.testing.assert_close(near[1], RELEASE)
    for _ in range(3):  # closed: the arm is in the way from now on
        carried = memory.steadied(torch.stack([aside(RELEASE, 0.6), END]), False)
        torch.testing.assert_close(carried, torch.stack([RELEASE, END]))
    again = memory.steadied(torch.stack([aside(GRASP, 0.3), aside(RELEASE, 0.3)]), True)
    torch.testing.assert_close(again[0], aside(GRASP, 0.3))  # opened: all begins anew
    torch.testing.assert_close(again[1], aside(RELEASE, 0.3))


def test_what_is_seen_elsewhere_twice_running_was_moved() -> None:
    memory, far = GoalMemory(), 2 * ELSEWHERE
    memory.steadied(torch.stack([GRASP, RELEASE]), True)
    memory.steadied(torch.stack([RELEASE, END]), False)
    once = memory.steadied(torch.stack([aside(RELEASE, far), END]), False)
    torch.testing.assert_close(once[0], RELEASE)
    back = memory.steadied(torch.stack([RELEASE, END]), False)
    torch.testing.assert_close(back[0], RELEASE)
    memory.steadied(torch.stack([aside(RELEASE, far), END]), False)
    twice = memory.steadied(torch.stack([aside(RELEASE, far), END]), False)
    torch.testing.assert_close(twice[0], aside(RELEASE, far))
    torch.testing.assert_close(twice[1], END)
    later = memory.steadied(torch.stack([aside(RELEASE, far + 0.2), END]), False)
    torch.testing.assert_close(later[0], aside(RELEASE, far + 0.2 * NEWEST))  # followed from now on


def test_an_episode_that_begins_closed_is_not_held_to_what_it_never_foresaw() -> None:
    memory = GoalMemory()
    memory.steadied(torch.stack([RELEASE, END]), False)
    near = memory.steadied(torch.stack([aside(RELEASE, 0.4), END]), False)
    torch.testing.assert_close(near[0], aside(RELEASE, 0.4 * NEWEST))


def test_one_goal_alone_is_a_running_mean_that_begins_anew_when_the_gripper_changes() -> None:
    memory = GoalMemory()
    memory.steadied(GRASP[None], True)
    near = memory.steadied(aside(GRASP, 0.2)[None], True)
    torch.testing.assert_close(near[0], aside(GRASP, 0.2 * NEWEST))
    torch.testing.assert_close(memory.steadied(RELEASE[None], False)[0], RELEASE)


def remembering(**changes: object) -> tuple[LeRobotController, list[torch.Tensor]]:
    """A policy with the head `goals`; and the goals that its head was given."""
    torch.manual_seed(0)
    made = VipraConfig(
        device="cpu",
        action_head="goals",
        state_places=[0, 1, 2],
        input_features={
            CAMERA: PolicyFeature(FeatureType.VISUAL, (3, 32, 32)),
            "observation.state": PolicyFeature(FeatureType.STATE, (4,)),
        },
        output_features={"action": PolicyFeature(FeatureType.ACTION, (3,))},
        size_px=32,
        points=4,
        channels=16,
        width=32,
        depth=1,
        heads=2,
        chunk_size=4,
        **changes,  # type: ignore[arg-type]
    )
    policy = VipraPolicy(made).eval()
    given: list[torch.Tensor] = []
    policy.decoder.head.register_forward_pre_hook(lambda _, inputs: given.append(inputs[1]))
    stats = {"observation.state": 4, "action": 3}
    known = {key: {"mean": torch.zeros(n), "std": torch.ones(n)} for key, n in stats.items()}
    return LeRobotController(policy, *make_vipra_pre_post_processors(made, known)), given


def test_a_policy_remembers_within_an_episode_in_either_loop_and_can_do_without() -> None:
    rng = np.random.default_rng(0)
    states = [np.array([0, 0, 0, told], np.float32) for told in (1, 1, -1, -1)]  # then it closes
    frames = [rng.integers(0, 255, (32, 32, 3), dtype=np.uint8) for _ in states]
    kept = {}
    for keeps in (True, False):
        controller, given = remembering(keep_goals=keeps, n_action_steps=1)
        for _ in range(2):  # a second episode remembers nothing of the first
            controller.reset(0, 0)
            for frame, state in zip(frames, states, strict=True):
                controller.act([0], [Observation(frame, state)])
        torch.testing.assert_close(given[:4], given[4:])
        kept[keeps] = [goals[0, :, :3] for goals in given[:4]]
        policy = controller.policy
        policy.reset()
        for frame, state in zip(frames, states, strict=True):
            picture = torch.from_numpy(frame).permute(2, 0, 1)[None] / 255
            seen = {CAMERA: picture, "observation.state": torch.from_numpy(state)[None]}
            policy.select_action(controller.pre(seen | {"task": [""]}))
        torch.testing.assert_close(given[8:], given[:4])
    torch.testing.assert_close(kept[True][0], kept[False][0])
    torch.testing.assert_close(kept[True][2][0], kept[True][0][1])  # the second goal's first look
    assert not torch.allclose(kept[False][2][0], kept[False][0][1], atol=1e-4)
