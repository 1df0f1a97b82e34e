"""What a user's type checker knows of a loss: `make lint` reads this file, nothing runs it."""

from typing import assert_type

import torch
from torch import Tensor

from cl_explore import losses

z, labels = torch.randn(4, 2, 3), torch.arange(4)
assert_type(losses.nt_xent(z, temperature=0.1), Tensor)
assert_type(losses.supcon(z, labels, reduction="none"), Tensor)
assert_type(losses.supcon.on_views(z, labels), Tensor)
assert_type(losses.supcon.parts(z, labels), dict[str, Tensor])
assert_type(losses.get("nt_xent"), losses.Loss)
assert_type(losses.SogCLR(8).log_mean, Tensor)
assert_type(losses.Queue(8, 3).rows, Tensor)
