"""The machine beside a figure: what it has that changes how long something takes."""

import os
import platform
from pathlib import Path
from typing import Any

CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def machine() -> dict[str, Any]:
    """This machine, as every result says it: `cores`, `arch`, `cpu_flags`."""
    return {"cores": usable_cores(), "arch": platform.machine(), "cpu_flags": cpu_flags()}


def usable_cores() -> int:
    """Cores that this process may use; those of the machine where the system does not say."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_flags() -> list[str]:
    """Those of CPU_FLAGS that the processor has; none where the system does not say."""
    try:
        has = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        return []
    return [flag for flag in CPU_FLAGS if flag in has]
