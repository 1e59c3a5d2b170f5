"""The command line: one module per verb, each with `Args` (a dataclass) and `run(args)`."""
