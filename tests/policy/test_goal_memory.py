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


def seen(memory: GoalMemory, *places: torch.Tensor) -> torch.Tensor:
    """What is made of these."""
    return memory.steadied(torch.stack(places))


def test_the_first_look_at_what_comes_after_is_kept_until_its_turn_is_over() -> None:
    memory = GoalMemory()
    torch.testing.assert_close(seen(memory, GRASP, RELEASE), torch.stack([GRASP, RELEASE]))
    near = seen(memory, aside(GRASP, 0.4), aside(RELEASE, 0.5))
    torch.testing.assert_close(near[0], aside(GRASP, 0.4 * NEWEST))  # a running mean
    torch.testing.assert_close(near[1], RELEASE)
    for _ in range(3):  # it has been grasped; the arm is in the way from now on
        carried = seen(memory, aside(RELEASE, 0.6), END)
        torch.testing.assert_close(carried, torch.stack([RELEASE, END]))
    torch.testing.assert_close(seen(memory, aside(END, 0.3), END)[0], END)  # and let go


def test_what_is_seen_elsewhere_twice_running_was_moved() -> None:
    memory, far = GoalMemory(), 1.2 * ELSEWHERE
    seen(memory, GRASP, RELEASE)
    seen(memory, RELEASE, END)
    torch.testing.assert_close(seen(memory, aside(RELEASE, far), END)[0], RELEASE)
    torch.testing.assert_close(seen(memory, RELEASE, END)[0], RELEASE)
    seen(memory, aside(RELEASE, far), END)
    twice = seen(memory, aside(RELEASE, far), END)
    torch.testing.assert_close(twice, torch.stack([aside(RELEASE, far), END]))
    later = seen(memory, aside(RELEASE, far + 0.2), END)
    torch.testing.assert_close(later[0], aside(RELEASE, far + 0.2 * NEWEST))  # followed from now on


def test_another_attempt_begins_anew() -> None:
    memory = GoalMemory()
    seen(memory, GRASP, RELEASE)
    seen(memory, RELEASE, END)
    seen(memory, aside(GRASP, 0.3), aside(RELEASE, 0.2))  # missed, and opened again
    again = seen(memory, aside(GRASP, 0.3), aside(RELEASE, 0.2))
    torch.testing.assert_close(again, torch.stack([aside(GRASP, 0.3), aside(RELEASE, 0.2)]))


def test_one_goal_alone_is_a_running_mean_until_it_is_another() -> None:
    memory = GoalMemory()
    seen(memory, GRASP)
    torch.testing.assert_close(seen(memory, aside(GRASP, 0.2))[0], aside(GRASP, 0.2 * NEWEST))
    torch.testing.assert_close(seen(memory, RELEASE)[0], aside(GRASP, 0.2 * NEWEST))
    torch.testing.assert_close(seen(memory, RELEASE)[0], RELEASE)


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
    states = [np.array([0, 0, 0, told], np.float32) for told in (1, 0, -1)]
    frames = [rng.integers(0, 255, (32, 32, 3), dtype=np.uint8) for _ in states]
    given_to: dict[bool, list[torch.Tensor]] = {}
    for keeps in (True, False):
        controller, given = remembering(keep_goals=keeps, n_action_steps=1)
        for _ in range(2):  # a second episode remembers nothing of the first
            controller.reset(0, 0)
            for frame, state in zip(frames, states, strict=True):
                controller.act([0], [Observation(frame, state)])
        torch.testing.assert_close(given[:3], given[3:])
        policy = controller.policy
        policy.reset()
        for frame, state in zip(frames, states, strict=True):
            picture = torch.from_numpy(frame).permute(2, 0, 1)[None] / 255
            now = {CAMERA: picture, "observation.state": torch.from_numpy(state)[None]}
            policy.select_action(controller.pre(now | {"task": [""]}))
        torch.testing.assert_close(given[6:], given[:3])
        given_to[keeps] = given[:3]
    memory = GoalMemory()
    for kept, foretold in zip(given_to[True], given_to[False], strict=True):
        torch.testing.assert_close(kept[0, :, :3], memory.steadied(foretold[0, :, :3]))
        torch.testing.assert_close(kept[..., 3], foretold[..., 3])
    assert not torch.allclose(given_to[True][1], given_to[False][1], atol=1e-4)
