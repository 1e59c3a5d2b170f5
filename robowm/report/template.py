"""How every page is filled: what comes from a run is escaped, what is absent is an error."""

from typing import TYPE_CHECKING

from robowm.report import words

if TYPE_CHECKING:
    from jinja2 import Environment


def environment() -> "Environment":
    """The templates beside this file."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("robowm.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["duration"] = words.duration
    return made
