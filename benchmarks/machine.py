"""What a figure was measured on."""

import platform
from datetime import UTC, datetime
from pathlib import Path

import torch


def setting(device: str = "cpu") -> dict[str, str | int]:
    """Date, versions and hardware, to be kept with every result."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "torch": str(torch.__version__),
        "cpu": cpu(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
    }


def cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(": ")[1] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
