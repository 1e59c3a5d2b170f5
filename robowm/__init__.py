"""robowm: robot skill from video. The command line is `robowm --help`; every verb is a function."""

__version__ = "0.1.0"
