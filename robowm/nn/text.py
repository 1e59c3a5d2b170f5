"""Instructions to vectors without a download: hashed words, summed.

Enough to tell "lift the red cube" from "stack the cubes"; not a language model.
"""

import re
import zlib

import torch
from torch import Tensor, nn


class HashedWords(nn.Module):
    """A sum of learnt vectors, one for each word's hash bucket; zero for an empty string."""

    def __init__(self, buckets: int, width: int) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(buckets, width, mode="sum")
        nn.init.normal_(self.bag.weight, std=0.02)
        self.buckets = buckets

    def forward(self, texts: list[str]) -> Tensor:
        """B strings to (B, width)."""
        words = [re.findall(r"[a-z0-9]+", text.lower()) for text in texts]
        # crc32, not hash(): the same word must fall in the same bucket in every process
        flat = [zlib.crc32(word.encode()) % self.buckets for line in words for word in line]
        starts = [0]
        for line in words[:-1]:
            starts.append(starts[-1] + len(line))
        device = self.bag.weight.device
        return self.bag(
            torch.tensor(flat, dtype=torch.long, device=device),
            torch.tensor(starts, dtype=torch.long, device=device),
        )
