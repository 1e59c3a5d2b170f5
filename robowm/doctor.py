"""What this machine can do, and the mend for what is missing; behind `robowm doctor`.

Nothing here is assumed from names: EGL renders a picture, codecs are looked up in the library that
will use them, bf16 is timed. What might crash (drivers) runs in a child process.
"""

import ctypes
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from robowm.machine import cpu_flags, usable_cores

State = Literal["ok", "warn", "missing"]

DECODERS = ("h264", "hevc", "vp9", "av1", "gif", "mpeg4")
# distribution, what needs it, the mend
EXTRAS = (
    ("transformers", "pretrained text and image encoders", "pip install transformers"),
    ("mani-skill", "SIMPLER suites", "pip install 'robowm[simpler]'"),
    ("feetech-servo-sdk", "a real SO-101 arm", "pip install 'lerobot[feetech]'"),
)
QUICKSTART_MEMORY_GB = 6.0
QUICKSTART_DISK_GB = 5.0
CHILD_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Finding:
    """One line of the examination.

    Attributes:
        part: what was looked at.
        state: ok; warn (robowm works, less well); missing.
        found: what is there, in words, with units.
        mend: the command that mends it; empty when ok.
        required: robowm's main job needs it.
    """

    part: str
    state: State
    found: str
    mend: str = ""
    required: bool = True


def examine() -> list[Finding]:
    """Look at everything; takes a few seconds. A check that fails itself is a finding too."""
    findings: list[Finding] = []
    for check in CHECKS:
        try:
            findings += check()
        except Exception as error:
            words = f"could not be examined: {type(error).__name__}: {error}"
            findings.append(Finding(check.__name__.strip("_"), "warn", words))
    return findings


def fit(findings: list[Finding]) -> bool:
    """True when nothing required is missing."""
    return not any(f.required and f.state == "missing" for f in findings)


def _python() -> Iterator[Finding]:
    version = sys.version_info
    found = f"{platform.python_version()} in {sys.prefix}"
    right = (3, 12) <= version < (3, 14)
    yield Finding("Python", "ok" if right else "missing", found, "" if right else "make install")
    system = f"{platform.system()} {platform.release()}, {platform.machine()}"
    linux = sys.platform == "linux"
    mend = "" if linux else "robowm is tested on Linux only"
    yield Finding("platform", "ok" if linux else "warn", system, mend)


def _processor() -> Iterator[Finding]:
    import torch

    cores, threads = usable_cores(), torch.get_num_threads()
    found = f"{cores} cores, {threads} torch threads"
    if threads == cores:
        yield Finding("processor", "ok", found)
    else:
        yield Finding("processor", "warn", found, f"export OMP_NUM_THREADS={cores}")
    flags = cpu_flags()
    units = next((u for u in ("amx_bf16", "avx512_bf16") if u in flags), "none")
    faster = _matmul_rate(torch.bfloat16) / _matmul_rate(torch.float32)
    found = f"matrix units: {units}; products {faster:.2f} times as fast as in float32"
    slow = units == "none" or faster < 1
    mend = "train with float32: autocast to bf16 gains nothing here" if slow else ""
    yield Finding("bf16", "warn" if slow else "ok", found, mend, required=False)
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        yield Finding("GPU", "ok", ", ".join(names), required=False)
    else:
        yield Finding("GPU", "ok", "none; `tiny` and `small` are made for the CPU", required=False)


def _matmul_rate(dtype: object, side: int = 1024, duration_s: float = 0.4) -> float:
    """Square matrix products a second."""
    import torch

    a = torch.ones(side, side, dtype=dtype)  # type: ignore[call-overload]
    a @ a  # the first product sets up threads and kernels
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < duration_s:
        a @ a
        count += 1
    return float(count / (time.perf_counter() - begun))


def _room() -> Iterator[Finding]:
    kib = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    free_gb = int(kib["MemAvailable"].split()[0]) * 1024 / 1e9
    total_gb = int(kib["MemTotal"].split()[0]) * 1024 / 1e9
    enough = free_gb >= QUICKSTART_MEMORY_GB
    mend = "" if enough else f"free memory: quickstart uses up to {QUICKSTART_MEMORY_GB:.0f} GB"
    found = f"{free_gb:.1f} GB free of {total_gb:.1f} GB"
    yield Finding("memory", "ok" if enough else "warn", found, mend)
    disk_gb = shutil.disk_usage(Path.cwd()).free / 1e9
    enough = disk_gb >= QUICKSTART_DISK_GB
    mend = "" if enough else f"free disk space: quickstart wants {QUICKSTART_DISK_GB:.0f} GB"
    yield Finding("disk", "ok" if enough else "warn", f"{disk_gb:.0f} GB free here", mend)


def _rendering() -> Iterator[Finding]:
    error, _ = _child("probe_egl", MUJOCO_GL="egl")
    found = error or "MuJoCo rendered a picture"
    mend = "apt install libegl1" if error else ""
    yield Finding("EGL", "missing" if error else "ok", found, mend)


def probe_egl() -> None:
    """Render one picture off screen. Raises whatever MuJoCo raises, or on an empty picture."""
    import mujoco

    model = mujoco.MjModel.from_xml_string(
        '<mujoco><worldbody><light pos="0 0 2"/><geom size=".3"/></worldbody></mujoco>'
    )
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer = mujoco.Renderer(model, 48, 64)
    renderer.update_scene(data)
    picture = renderer.render()
    renderer.close()
    if not picture.any():
        raise RuntimeError("the picture is black")


def _opencv() -> Iterator[Finding]:
    both = {n: _version(n) for n in ("opencv-python", "opencv-python-headless")}
    same = len(set(both.values())) == 1
    error, _ = _child("probe_opencv")
    version = both["opencv-python-headless"] or "4.13.0.92"
    # both write cv2/; the last one installed wins, and only the headless one works without libGL
    mend = f"pip install --no-deps --force-reinstall opencv-python-headless=={version}"
    found = ", ".join(f"{name} {version or 'absent'}" for name, version in both.items())
    if error:
        yield Finding("OpenCV", "missing", error, mend)
    elif not same:
        pins = " ".join(f"{name}=={version}" for name in both)
        words = f"{found}: they must be one version"
        yield Finding("OpenCV", "missing", words, f"pip install --force-reinstall --no-deps {pins}")
    else:
        yield Finding("OpenCV", "ok", found)


def probe_opencv() -> None:
    """Load OpenCV and use it."""
    import cv2
    import numpy as np

    still = np.zeros((64, 64), np.uint8)
    cv2.DISOpticalFlow.create().calc(still, still, np.zeros((64, 64, 2), np.float32))


def _codecs() -> Iterator[Finding]:
    import av

    lacking = [f"{name} decoder" for name in DECODERS if not _has_codec(name, "r")]
    lacking += [] if _has_codec("h264", "w") else ["h264 encoder"]
    found = f"PyAV {av.__version__}: " + (
        f"no {', '.join(lacking)}" if lacking else f"reads {', '.join(DECODERS)}; writes h264"
    )
    mend = f"pip install --force-reinstall --only-binary av av=={av.__version__}" if lacking else ""
    yield Finding("codecs", "missing" if lacking else "ok", found, mend)
    error, _ = _child("probe_torchcodec")
    if error:
        words = "torchcodec cannot load the system's FFmpeg; PyAV is used instead"
        yield Finding("torchcodec", "warn", words, "apt install ffmpeg", required=False)
    else:
        yield Finding("torchcodec", "ok", f"{_version('torchcodec')} loads", required=False)


def _has_codec(name: str, mode: Literal["r", "w"]) -> bool:
    import av.codec

    try:
        av.codec.Codec(name, mode)
    except ValueError:
        return False
    return True


def probe_torchcodec() -> None:
    """Load torchcodec and with it the FFmpeg libraries."""
    import torchcodec  # noqa: F401


def _vulkan() -> Iterator[Finding]:
    from robowm.sim.simpler.needs import environment

    error, devices = _child("probe_vulkan", **environment())
    if error:
        mend = "apt install libvulkan1 mesa-vulkan-drivers"
        found = f"{error}; only SIMPLER suites need it"
        yield Finding("Vulkan", "missing", found, mend, required=False)
    else:
        yield Finding("Vulkan", "ok", f"devices: {devices}", required=False)


class _InstanceCreateInfo(ctypes.Structure):
    """VkInstanceCreateInfo; sType 1."""

    _fields_ = [
        ("sType", ctypes.c_int),
        ("pNext", ctypes.c_void_p),
        ("flags", ctypes.c_uint32),
        ("pApplicationInfo", ctypes.c_void_p),
        ("enabledLayerCount", ctypes.c_uint32),
        ("ppEnabledLayerNames", ctypes.c_void_p),
        ("enabledExtensionCount", ctypes.c_uint32),
        ("ppEnabledExtensionNames", ctypes.c_void_p),
    ]


def probe_vulkan() -> int:
    """How many devices Vulkan has. Raises RuntimeError without a loader, a driver or a device."""
    try:
        vulkan = ctypes.CDLL("libvulkan.so.1")
    except OSError:
        raise RuntimeError("libvulkan.so.1 is absent") from None
    instance, count = ctypes.c_void_p(), ctypes.c_uint32()
    info = _InstanceCreateInfo(sType=1)
    if code := vulkan.vkCreateInstance(ctypes.byref(info), None, ctypes.byref(instance)):
        raise RuntimeError(f"vkCreateInstance answers {code}: no driver")
    vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), None)
    vulkan.vkDestroyInstance(instance, None)
    if not count.value:
        raise RuntimeError("no Vulkan device")
    return count.value


def _simpler() -> Iterator[Finding]:
    from robowm.sim.simpler import needs

    kind, folder = needs.assets(), needs.asset_folder()
    if kind is None:
        mend = f"make simpler, or {needs.ASSET_MEND}"
        found = f"not complete in {folder}; only SIMPLER suites need them"
        yield Finding("SIMPLER assets", "missing", found, mend, required=False)
    else:
        yield Finding("SIMPLER assets", "ok", f"{kind}, in {folder}", required=False)
    if needs.installed("sapien") is None:
        return  # said among the extras
    error = needs.vulkan_error()
    if error:
        yield Finding("SAPIEN", "missing", f"cannot draw: {error}", needs.VULKAN_MEND, False)
    else:
        yield Finding("SAPIEN", "ok", "draws with this machine's Vulkan", required=False)


def _google() -> Iterator[Finding]:
    from robowm.errors import UserError
    from robowm.sim.google import needs
    from robowm.sim.google.table import NEAR

    if not os.environ.get(needs.PYTHON_VARIABLE):
        return  # nobody has tried to set it up
    try:
        found = needs.prepare(NEAR)
    except UserError as error:
        words, _, mend = str(error).partition(" Mend: ")
        yield Finding("original SIMPLER", "missing", words, mend, required=False)
    else:
        words = f"{found['assets']} assets; {found['original']}"
        yield Finding("original SIMPLER", "ok", words, required=False)


def _extras() -> Iterator[Finding]:
    for name, purpose, mend in EXTRAS:
        version = _version(name)
        if version:
            yield Finding(name, "ok", version, required=False)
        else:
            yield Finding(name, "missing", f"optional: {purpose}", mend, required=False)


def _packages() -> Iterator[Finding]:
    """The versions that were tried together, against what is installed."""
    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(line) for line in importlib.metadata.requires("robowm") or []]
    except importlib.metadata.PackageNotFoundError:
        yield Finding("packages", "warn", "robowm itself is not installed", "pip install -e .")
        return
    here = {r.name: _version(r.name) for r in wanted}
    # an extra's package may be absent, but not of another version
    wanted = [r for r in wanted if here[r.name] or not r.marker or r.marker.evaluate({"extra": ""})]
    wrong = [r for r in wanted if (has := here[r.name]) is None or has not in r.specifier]
    for requirement in wrong:
        found = f"{here[requirement.name] or 'absent'}; expected {requirement.specifier}"
        mend = f"pip install '{requirement}'" + (
            " -c constraints.txt" if Path("constraints.txt").is_file() else ""
        )
        yield Finding(requirement.name, "missing", found, mend)
    if not wrong:
        yield Finding("packages", "ok", f"all {len(wanted)} in the tested ranges")


def _datasets() -> Iterator[Finding]:
    spec = importlib.util.find_spec("datasets")
    version = _version("datasets")
    ours = version is not None and spec is not None and spec.origin is not None
    if ours:
        yield Finding("datasets", "ok", f"Hugging Face {version}")
    else:
        words = "`import datasets` does not give Hugging Face's package"
        yield Finding(
            "datasets", "missing", words, "remove datasets/__init__.py; pip install datasets"
        )


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _child(probe: str, **environment: str) -> tuple[str, str]:
    """Run one of the probes in a process of its own.

    Returns:
        its last line of error, empty when it ran through; and what it returned, in words.
    """
    code = f"from robowm import doctor; print(doctor.{probe}())"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=CHILD_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {CHILD_TIMEOUT_S:.0f} s", ""
    if done.returncode == 0:
        return "", done.stdout.strip()
    lines = done.stderr.strip().splitlines()
    said = lines[-1].removeprefix("RuntimeError: ") if lines else f"died: code {done.returncode}"
    return said, ""


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _python,
    _processor,
    _room,
    _rendering,
    _opencv,
    _codecs,
    _vulkan,
    _simpler,
    _google,
    _datasets,
    _packages,
    _extras,
)
