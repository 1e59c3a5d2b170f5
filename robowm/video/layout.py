"""What is where in the picture: bars around it, seams between several pictures in one."""

import numpy as np

EDGE_LEVELS = 10
SEAM_RATIO = 1.2
SEAM_ASIDE_PX = 4
BAR_LEVELS = 20  # compression leaves black bars this far from black
WHITE_LEVEL = 249  # paper and page margins; a sunlit or simulated table stays below it
STILL_LEVELS = 25  # of 255: a caption in a bar changes less than this
BAR_SHARE = 0.4  # of a line with a caption is still bar
Box = tuple[float, float, float, float]


def inside_bars(low: np.ndarray, high: np.ndarray) -> Box:
    """The picture without borders that stay black, or stay white, for the whole shot.

    A caption that stands in a bar goes with it, if the bar is plain again between it and the
    picture.

    Args:
        low, high: uint8 (H, W, 3), the least and greatest level of each pixel.

    Returns:
        left, top, right, bottom, each 0 to 1.
    """
    bar = (high.max(-1) <= BAR_LEVELS) | (low.min(-1) >= WHITE_LEVEL)
    still = (high.astype(np.int16) - low).max(-1) <= STILL_LEVELS
    left, right = _span(bar, still)
    top, bottom = _span(bar.T, still.T)
    # a bar hides a part; what would leave a sliver is a dark or empty scene
    if right - left < 0.3 or bottom - top < 0.3:
        return (0.0, 0.0, 1.0, 1.0)
    return (left, top, right, bottom)


def _span(bar: np.ndarray, still: np.ndarray) -> tuple[float, float]:
    """First and last column (H, W) that is not in a bar, as shares of W."""
    plain = np.asarray(bar.all(0))
    outer = plain | ((bar.mean(0) >= BAR_SHARE) & still.all(0))
    n = len(plain)
    first, last = _depth(plain, outer), n - _depth(plain[::-1], outer[::-1])
    if first >= last:
        return (0.0, 0.0)
    # the line beside a bar is a blend of both: it goes too
    return ((first + 1) / n if first else 0.0, (last - 1) / n if last < n else 1.0)


def _depth(plain: np.ndarray, outer: np.ndarray) -> int:
    """How many lines from the edge are bar: to the last plain one before the picture begins."""
    reach = len(outer) if outer.all() else int(outer.argmin())
    within = np.flatnonzero(plain[:reach])
    return int(within[-1]) + 1 if len(within) else 0


def seam(mean: np.ndarray) -> float:
    """The best vertical line of a mean picture (H, W, 3): share of its height that is an edge.

    The edge must be sharper than what lies a little to either side: texture is no seam.
    """
    edge = np.abs(np.diff(mean, axis=1)).max(-1)
    edge = np.maximum(edge[:, 1:], edge[:, :-1])  # scaling may spread a seam over two columns
    inner = edge[:, SEAM_ASIDE_PX:-SEAM_ASIDE_PX]
    if not inner.size:
        return 0.0
    beside = np.minimum(edge[:, : -2 * SEAM_ASIDE_PX], edge[:, 2 * SEAM_ASIDE_PX :])
    share = ((inner > EDGE_LEVELS) & (inner > SEAM_RATIO * beside)).mean(0)
    margin = int(0.12 * len(share))  # frames around a picture are not seams within it
    return float(share[margin : len(share) - margin].max())
