"""Scans: moving pictures of brains, drawn or read from NIfTI files, and views that cut clips out of them."""

import gzip
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from cl_explore.data import Dataset, Modality
from cl_explore.papers.swift_fmri.method import ClipEncoder
from cl_explore.views.base import normal, uniform

GRID, FRAMES, MOMENTS = 6, 10, 6
"""Of drawn scans: voxels a side, frames of a moment, moments."""
CENTRES = torch.tensor([[1.0, 1.0, 1.0], [1.0, 4.0, 4.0], [4.0, 1.0, 4.0], [4.0, 4.0, 1.0]])
STEADY, PERSON, SPREAD, MEMORY, NOISE = 3.0, 0.3, 0.5, 0.5, 0.35


class Scan(Modality):
    """Scans (N, T, X, Y, Z) of T frames, of any numbers."""

    name, axes = "scan", "N, T, X, Y, Z"

    def encoder(self, x: Tensor) -> nn.Module:
        return ClipEncoder(x.shape[1:])

    def weak(self, x: Tensor) -> Any:
        return ClipViews((x.shape[1] + 1) // 3)

    hard = weak


def scans(seed: int, subjects: int = 48, part: int = 0) -> Dataset:
    """Scans (N, 60, 6, 6, 6) of subjects: four networks that are active and fluctuate, and noise in each voxel.

    Activity is three times as large as it fluctuates, and fluctuations remember half of the frame before. How strong
    each network is differs between subjects. Besides, subjects differ in how much stronger the first is than the
    second, the factor `trait`; and moments, of 10 frames each, in how much stronger the third is than the fourth, the
    factors `state 0` to `state 5`. Labels are the subjects.

    part: another number draws other subjects.
    """
    generator = Generator().manual_seed(2 * seed + part)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    voxels = torch.cartesian_prod(*[torch.arange(float(GRID))] * 3)
    maps = (-torch.cdist(CENTRES, voxels).square() / 2).exp().view(4, GRID, GRID, GRID)
    trait, state = draw(subjects), draw(subjects, MOMENTS)
    strength = PERSON * draw(subjects, 1, 4).repeat(1, MOMENTS, 1)
    lasting = trait[:, None].expand(-1, MOMENTS)
    strength += SPREAD * torch.stack([lasting, -lasting, state, -state], 2)
    course = [draw(subjects, 4)]
    for _ in range(MOMENTS * FRAMES - 1):
        course.append(MEMORY * course[-1] + math.sqrt(1 - MEMORY**2) * draw(subjects, 4))
    activity = (STEADY + torch.stack(course, 1)) * strength.exp().repeat_interleave(FRAMES, 1)
    x = torch.einsum("ntk,kxyz->ntxyz", activity, maps)
    x += NOISE * torch.randn(x.shape, generator=generator)
    factors = {"trait": trait, **{f"state {moment}": state[:, moment] for moment in range(MOMENTS)}}
    rows = torch.arange(subjects)
    return Dataset("scans", x, rows, rows, tuple(map(str, range(subjects))), factors, kind=Scan())


def moments(scanned: Dataset) -> Dataset:
    """The moments of drawn scans (N, 60, 6, 6, 6) as clips (6 N, 10, 6, 6, 6), one subject after another.

    Their factors are `trait` and `state`; labels and index are those of the subject.
    """
    assert isinstance(scanned.x, Tensor)
    clips = scanned.x.unflatten(1, (MOMENTS, FRAMES)).flatten(0, 1)
    state = torch.stack([scanned.factors[f"state {moment}"] for moment in range(MOMENTS)], 1).flatten()
    labels, index, trait = (
        column.repeat_interleave(MOMENTS) for column in (scanned.labels, scanned.index, scanned.factors["trait"])
    )
    return Dataset("moments", clips, labels, index, scanned.class_names, {"trait": trait, "state": state}, kind=Scan())


@dataclass(frozen=True)
class ClipViews:
    """Augmentations of clips of each scan (B, T, X, Y, Z): (B, V, frames, X, Y, Z), those of the first clip first.

    frames: of a clip.
    clips: how many are cut from a scan: 2, which never overlap, or 1.
    stride: clips begin at multiples of it. The first begins at any, the other at any that is free of the first.
    rotate, scale: each axis is turned by up to so many degrees, and stretched by up to such a share.
    noise, noisy: standard deviation, and how likely there is any.
    smooth, smoothed: of each axis up to such a standard deviation in voxels, and how likely there is any.
    gain: all is stronger or weaker by up to such a share; the authors have none.

    What is drawn for a clip is done alike to all of its frames, noise too. The defaults are the authors', but always of
    the clip as it was scanned, where their code augments what it augmented before.
    """

    frames: int
    clips: int = 2
    stride: int = 1
    rotate: float = 10.0
    scale: float = 0.1
    noise: float = 0.1
    noisy: float = 0.3
    smooth: float = 0.5
    smoothed: float = 0.1
    gain: float = 0.0

    def __call__(self, x: Tensor, generator: Generator, n_views: int) -> Tensor:
        """Raises ValueError for scans of another shape, or too short, and views that clips do not divide."""
        if x.ndim != 5:
            raise ValueError(f"x must have shape (B, T, X, Y, Z), got {tuple(x.shape)}")
        if self.clips not in (1, 2) or n_views % self.clips:
            raise ValueError(f"clips must be 1 or 2 and divide n_views ({n_views}), got {self.clips}")
        starts = self.starts(len(x), x.shape[1], x, generator)
        rows = torch.arange(len(x), device=x.device)[:, None, None]
        cut = x[rows, starts[..., None] + torch.arange(self.frames, device=x.device)]
        views = cut.repeat_interleave(n_views // self.clips, dim=1)
        return self.augmented(views.flatten(0, 1), generator).view_as(views)

    def starts(self, count: int, frames: int, like: Tensor, generator: Generator) -> Tensor:
        """First frames (count, clips) of clips of scans of so many frames."""
        places, apart = (frames - self.frames) // self.stride + 1, -(-self.frames // self.stride)
        if places < (2 * apart if self.clips == 2 else 1):
            need = (2 * apart - 1) * self.stride + self.frames if self.clips == 2 else self.frames
            raise ValueError(
                f"x must have at least {need} frames for {self.clips} clips of {self.frames}, got {frames}"
            )
        chance = uniform(generator, like, count, self.clips)
        first = (chance[:, 0] * places).long().clamp(max=places - 1)
        if self.clips == 1:
            return first[:, None] * self.stride
        before, after = (first - apart + 1).clamp(min=0), (places - apart - first).clamp(min=0)
        free = (chance[:, 1] * (before + after)).long().clamp(max=before + after - 1)
        second = torch.where(free < before, free, first + apart + free - before)
        return torch.stack([first, second], 1) * self.stride

    def augmented(self, x: Tensor, generator: Generator) -> Tensor:
        """Clips (N, T, X, Y, Z), each changed in its own way."""

        def spread(*shape: int) -> Tensor:
            return 2 * uniform(generator, x, len(x), *shape) - 1

        if self.rotate or self.scale:
            grid = F.affine_grid(self._affine(spread(3), spread(3)), [len(x), 1, *x.shape[2:]], align_corners=False)
            x = F.grid_sample(x, grid, align_corners=False, padding_mode="border")
        if self.gain:
            x = x * (1 + self.gain * spread(1, 1, 1, 1))
        if self.noise:
            some = uniform(generator, x, len(x), 1, 1, 1, 1) < self.noisy
            x = x + self.noise * some * normal(generator, x[:, :1])
        if self.smooth:
            some = uniform(generator, x, len(x), 1) < self.smoothed
            x = smoothed(x, self.smooth * some * uniform(generator, x, len(x), 3))
        return x

    def _affine(self, turn: Tensor, stretch: Tensor) -> Tensor:
        """Maps (N, 3, 4) of what was drawn, (N, 3) each in [-1, 1]."""
        whole = torch.diag_embed(1 + self.scale * stretch)
        for axis in range(3):
            angle = math.radians(self.rotate) * turn[:, axis]
            one, other = (place for place in range(3) if place != axis)
            turned = torch.eye(3).to(turn).repeat(len(turn), 1, 1)
            turned[:, one, one] = turned[:, other, other] = angle.cos()
            turned[:, one, other], turned[:, other, one] = -angle.sin(), angle.sin()
            whole = turned @ whole
        return F.pad(whole, (0, 1))


def smoothed(x: Tensor, deviation: Tensor) -> Tensor:
    """Clips (N, T, X, Y, Z) under a Gaussian of three voxels, whose `deviation` (N, 3) is given in voxels."""
    beside = (-0.5 / deviation.square()).exp()
    beside = (beside / (1 + 2 * beside))[:, :, None, None, None, None]
    for axis in range(3):
        at = torch.arange(x.shape[2 + axis], device=x.device)
        before, after = (x.index_select(2 + axis, (at + step).clamp(0, len(at) - 1)) for step in (-1, 1))
        x = x + beside[:, axis] * (before + after - 2 * x)
    return x


DTYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4"}
"""NumPy's names of the numbers of a NIfTI file, by its codes."""


def read_nifti(path: str | Path) -> Tensor:
    """The frames (T, X, Y, Z), float32, of a single file of NIfTI-1, `.nii` or `.nii.gz`; a volume is one frame.

    Raises: ValueError, naming the file, for another form, and one that breaks off
    Source: the NIfTI-1 data format, header of 348 bytes
    """
    path = Path(path)
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    order = next((order for order in "<>" if raw[:4] == np.array(348, order + "i4").tobytes()), None)
    if order is None or raw[344:348] != b"n+1\0":
        raise ValueError(f"path must be a single file of NIfTI-1 (.nii or .nii.gz), got {path}")

    def field(kind: str, place: int, count: int) -> Any:
        return np.frombuffer(raw, order + kind, count, place)

    axes, *sides = field("i2", 40, 8).tolist()
    code, (start, slope, offset) = int(field("i2", 70, 1)[0]), field("f4", 108, 3).tolist()
    if code not in DTYPES or axes not in (3, 4):
        raise ValueError(f"path must hold plain numbers of 3 or 4 axes, got code {code} and {axes} axes in {path}")
    shape = (*sides[:3], sides[3] if axes == 4 else 1)
    if len(raw) < int(start) + math.prod(shape) * np.dtype(DTYPES[code]).itemsize:
        raise ValueError(f"path must be a whole file, got {path}, which ends before the last of {shape[3]} frames")
    values = field(DTYPES[code], int(start), math.prod(shape)).astype(np.float32)
    if slope:
        values = values * slope + offset
    return torch.from_numpy(values.reshape(shape, order="F").transpose(3, 0, 1, 2).copy())
