"""Observations in, actions out: LeRobot's default pipelines, side by side, statistics saved."""

from typing import Any

import torch
from lerobot.processor import (
    PolicyAction,
    PolicyProcessorPipeline,
    make_default_pre_post_processors,
)

from robowm.policy.configuration_vipra import VipraConfig

type Pre = PolicyProcessorPipeline[dict[str, Any], dict[str, Any]]
type Post = PolicyProcessorPipeline[PolicyAction, PolicyAction]


def make_vipra_pre_post_processors(
    config: VipraConfig, dataset_stats: dict[str, dict[str, torch.Tensor]] | None = None
) -> tuple[Pre, Post]:
    """Normalise state and action by the demonstrations' mean and deviation, and back."""
    return make_default_pre_post_processors(config, dataset_stats, normalizer_device=config.device)
