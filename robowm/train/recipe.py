"""A named configuration of the whole method: what each training stage is run with."""

from dataclasses import dataclass, field

from robowm.train.finetune_plan import FinetuneConfig
from robowm.train.label import LabelConfig
from robowm.train.label_vipra import ViPRALabelConfig
from robowm.train.pretrain import PretrainConfig


@dataclass(frozen=True)
class Recipe:
    """Configurations of `label`, `pretrain` and `finetune` that fit together."""

    label: LabelConfig | ViPRALabelConfig = field(default_factory=LabelConfig)
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    size_px: int = 64
    """side of the frames that `record` should write, pixels; `ingest`: those of label.model"""
    fps: int = 10
    """rate of the frames, a second"""
