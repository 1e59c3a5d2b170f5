"""`robowm VERB ...`: looks the verb up, parses its flags, runs it, and says errors in one line."""

import importlib
import sys
from collections.abc import Sequence

from robowm import __version__
from robowm.errors import UserError, nearest

VERBS = {
    "ingest": "video files in, a LeRobotDataset of usable shots and a manifest out",
    "label": "optical flow, camera motion removed, one latent action per transition",
    "reality": "proof that the latent actions mean something, beside their baselines",
    "pretrain": "a world model from frames and latent actions together",
    "record": "labelled demonstrations of a suite's scripted expert",
    "finetune": "a policy from a world model (or from scratch) and a few demonstrations",
    "eval": "closed-loop rollouts with fixed seeds, intervals and baselines",
    "compare": "results of eval side by side: intervals, paired tests, stages of failure",
    "deploy": "a policy on an arm, every command checked before it is sent",
    "report": "one HTML file of what a run did",
    "doctor": "what this machine can do, and the mend for what is missing",
    "quickstart": "all of the above, small, on this machine",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb. Returns the exit code: 0, 2 for a mistake, 130 when stopped, or the verb's."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(_usage())
        return 0
    if words[0] == "--version":
        print(f"robowm {__version__}")
        return 0
    verb, *rest = words
    try:
        if verb not in VERBS:
            raise UserError(f"no verb {verb!r}. {nearest(verb, VERBS)}")
        return _run(verb, rest)
    except UserError as error:
        print(f"robowm {verb}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nrobowm {verb}: stopped; the same command goes on from here.", file=sys.stderr)
        return 130


def _run(verb: str, words: list[str]) -> int:
    import tyro

    module = importlib.import_module(f"robowm.cli.{verb}")
    default = None
    if hasattr(module, "defaults"):  # verbs with named configurations: --recipe picks the defaults
        default = module.defaults(_value_of("--recipe", words))
    args = tyro.cli(
        module.Args,
        prog=f"robowm {verb}",
        description=module.__doc__,
        args=words,
        default=default,
    )
    return int(module.run(args) or 0)


def _value_of(flag: str, words: list[str]) -> str | None:
    for here, word in enumerate(words):
        if word == flag and here + 1 < len(words):
            return words[here + 1]
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return None


def _usage() -> str:
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {what}" for verb, what in VERBS.items()]
    head = "usage: robowm VERB ...   (robowm VERB --help for its flags)"
    return "\n".join([head, "", *lines, "", "--version prints the version."])


if __name__ == "__main__":
    sys.exit(main())
