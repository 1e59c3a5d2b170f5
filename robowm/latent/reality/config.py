"""How much the battery tests, and against which truth. Light: the command line's help reads it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RealityConfig:
    """How much is tested, and against which truth."""

    tests: str = "probes,moving,codes"
    """which groups of tests, with commas: probes (of true actions), moving (leaks, transfer,
    redrawing, algebra, cuts), codes"""
    truth_column: str = "action"
    """column of the true action; row t belongs to the transition t→t+1"""
    dims: str | None = None
    """dimensions of it to judge, numbers or names with commas, such as 0,1,2; none takes all"""
    span: int = 1
    """latent actions that a probe reads at once, from row t on; more when truth is slower"""
    probe_gate: float | None = None
    """least R² of a probe; none takes 0.8, or 0.6 where the camera moves"""
    with_frame: bool = False
    """also probe the latent action together with the current frame"""
    folds: int = 5
    """parts of the episodes in the probes' cross-validation"""
    pairs: int = 256
    """moving transitions in each test without truth"""
    truth_transitions: int = 5000
    """most transitions of the truth that are read, whole episodes"""
    clips: int = 10
    """clips in the label viewer"""
    code_clips: int = 100
    """most clips that the codebook test labels"""
