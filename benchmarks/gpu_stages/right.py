"""Whether all that runs on the device computes what it computes on the CPU."""

from gpu_stages import right_losses, right_measures, right_skeletons, right_training
from gpu_stages.case import Case


def cases(small: bool, device: str) -> list[Case]:
    """Losses first, then training, then what is measured."""
    parts = (right_losses, right_training, right_skeletons, right_measures)
    return [case for part in parts for case in part.cases(small, device)]
