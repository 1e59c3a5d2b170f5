"""Any LeRobotDataset, v2.0 to v3.0, on disk or on the Hub: action-free unless actions are kept.

`robowm ingest FOLDER` finds this recipe by itself; `robowm ingest OWNER/NAME` fetches from the Hub
first. `--camera NAME` takes another camera than the first, or several. With `--keep-actions` the
rows are chosen by time; whether an action is a place or a change per step is not known of such a
dataset, so `--fps` below its own rate is right for places (most) and wrong for changes.
"""

from robowm.video.config import curated
from robowm.video.sources.lerobot import find_lerobot as find

SPEC = curated(fps=10)
__all__ = ["SPEC", "find"]
