"""RAFT's plumbing: sizes, batches, weights from files, errors. (There are no weights offline.)"""

import numpy as np
import pytest
import safetensors.torch
import torch
from torchvision.models import optical_flow

from robowm.errors import UserError
from robowm.motion.camera import motions
from robowm.motion.config import RANDOM_WEIGHTS, MotionConfig
from robowm.motion.flow import clip_flows, flow_pairs
from robowm.motion.raft import _flow, load_raft, raft_flow

RANDOM = MotionConfig(estimator="raft_small", raft_weights=RANDOM_WEIGHTS)


def frames(count: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (count, height, width, 3), dtype=np.uint8)


class Constant(torch.nn.Module):
    """Stands where RAFT would: says the same flow for every pixel, and what it was given."""

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> list[torch.Tensor]:
        self.seen = first
        flow = torch.tensor([8.0, -4.0])[None, :, None, None]
        return [flow.expand(len(first), 2, *first.shape[-2:])]


@pytest.mark.parametrize(
    ("size", "fed", "scale"),
    [((64, 64), (128, 128), 2), ((60, 90), (128, 192), 128 / 60), ((130, 200), (136, 200), 1)],
)
def test_pictures_fit_the_network_and_flow_fits_the_pictures(size, fed, scale) -> None:
    network = Constant()
    pictures = torch.from_numpy(frames(2, *size)).permute(0, 3, 1, 2)
    flow = _flow(network, pictures, pictures)
    assert network.seen.shape == (2, 3, *fed)
    assert network.seen.min() >= -1 and network.seen.max() <= 1
    assert flow.shape == (2, 2, *size)
    torch.testing.assert_close(flow[0, :, 5, 5], torch.tensor([8.0, -4.0]) / scale)


def test_batches_and_clips_agree() -> None:
    pictures = frames(3, 64, 64)
    forward, backward = flow_pairs(pictures[:-1], pictures[1:], RANDOM)
    assert forward.shape == backward.shape == (2, 64, 64, 2) and forward.dtype == np.float32
    in_clip = [*clip_flows(pictures, RANDOM)]
    np.testing.assert_allclose(in_clip[1][0], forward[1], atol=1e-4)
    np.testing.assert_allclose(in_clip[1][1], backward[1], atol=1e-4)
    assert len([*motions(pictures, RANDOM)]) == 2


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_come_from_a_file_or_its_folder(tmp_path, suffix) -> None:
    torch.manual_seed(7)
    state = optical_flow.raft_small(weights=None).state_dict()
    path = tmp_path / f"raft_small{suffix}"
    if suffix == ".pth":
        torch.save(state, path)
    else:
        safetensors.torch.save_file(state, path)
    for name in (path, tmp_path):
        loaded = load_raft("raft_small", str(name)).state_dict()
        assert all(torch.equal(loaded[key], state[key]) for key in state)
    random = load_raft("raft_small", RANDOM_WEIGHTS).state_dict()
    assert not torch.equal(
        random["feature_encoder.convnormrelu.0.weight"],
        state["feature_encoder.convnormrelu.0.weight"],
    )


def test_no_weights_is_an_error_and_never_random() -> None:
    config = MotionConfig(estimator="raft_large")
    with pytest.raises(UserError, match="raft_large has no weights; expected raft_weights"):
        raft_flow(frames(1, 64, 64), frames(1, 64, 64), config)


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(UserError, match=r"absent\.pth: there is no such file"):
        load_raft("raft_small", str(tmp_path / "absent.pth"))


def test_a_folder_must_hold_one_file_of_weights(tmp_path) -> None:
    with pytest.raises(UserError, match="holds 0 files of weights"):
        load_raft("raft_small", str(tmp_path))


@pytest.mark.parametrize("content", [b"not weights", b""])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_broken_files_are_named(tmp_path, suffix, content) -> None:
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError, match="does not load into torchvision's raft_small"):
        load_raft("raft_small", str(path))


def test_weights_of_another_network_are_named(tmp_path) -> None:
    safetensors.torch.save_file({"weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match="does not load into torchvision's raft_small"):
        load_raft("raft_small", str(tmp_path))


def test_a_pickle_that_runs_code_is_refused(tmp_path) -> None:
    marker = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return (open, (str(marker), "w"))

    torch.save({"weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(UserError, match="does not load"):
        load_raft("raft_small", str(tmp_path / "evil.pth"))
    assert not marker.exists()
