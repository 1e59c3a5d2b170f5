"""Any folder of clips: robot arms or hands, found on disk, nobody's labels.

Small square pictures at 10 a second: an arm moves visibly between two of them, and an hour of
video is 36,000 pictures.
"""

from robowm.video.config import IngestConfig
from robowm.video.sources.files import find_files as find

SPEC = IngestConfig(size_px=128, fps=10, fit="crop")
__all__ = ["SPEC", "find"]
