"""Which seeds belong to which use, so that no layout is both trained on and evaluated on."""

from robowm.errors import UserError

EVALUATION = range(0, 1_000_000)
DEMONSTRATION = range(1_000_000, 2_000_000)
VIDEO = range(2_000_000, 3_000_000)


def take(block: range, first: int, count: int) -> range:
    """`count` seeds of `block`, beginning with its number `first` (0 is the block's own first).

    Raises:
        UserError: they would leave the block.
    """
    if first < 0 or count < 0 or first + count > len(block):
        raise UserError(
            f"--seed {first} with {count} episodes leaves the block of seeds for this use; "
            f"expected seed >= 0 and seed + episodes <= {len(block)}."
        )
    return block[first : first + count]
