"""SwiFT: both contrasts against the authors' numbers, windows in four dimensions, drawn and read scans, the panel."""

import gzip
import json
import math
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cl_explore import losses
from cl_explore.data import Batch
from cl_explore.papers.swift_fmri import method, panel, study, world
from cl_explore.views.noisy import Noisy

CASES = json.loads((Path(__file__).parents[1] / "golden" / "swift-fmri.json").read_text())["cases"]


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def of_scans(z: Tensor, **options: object) -> method.SwiFT:
    """The method whose embeddings are z (B, V, D), given as scans."""
    made = method.SwiFT(nn.Flatten(), nn.Identity(), "nt_xent", lambda x, generator, views: x, **options)
    assert made.n_views == z.shape[1]
    return made


def step(z: Tensor, **options: object) -> dict[str, Tensor]:
    made = of_scans(z, temperature=0.1, **options)
    rows = torch.arange(len(z))
    found = made.step(Batch(z, rows, rows, {}), torch.Generator())
    return {"loss": found.loss, **found.metrics}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_both_contrasts_and_their_gradients_are_those_of_the_authors(case: dict) -> None:
    sides = [torch.tensor(case["inputs"][name], dtype=torch.float64).requires_grad_() for name in case["grad"]]
    z, tau = torch.stack(sides, -2), case["params"]["temperature"]
    loss = losses.nt_xent(z, temperature=tau) if z.ndim == 3 else len(z) * method.local_contrast(z, temperature=tau)
    loss.backward()
    assert loss.item() == pytest.approx(case["loss"], abs=1e-9)
    for side, wanted in zip(sides, case["grad"].values(), strict=True):
        torch.testing.assert_close(side.grad, torch.tensor(wanted, dtype=torch.float64), atol=1e-9, rtol=0)


@pytest.mark.parametrize("tau", [0.05, 0.3])
def test_closed_forms_of_both_contrasts(tau: float) -> None:
    eye = torch.eye(2, dtype=torch.float64)
    apart = eye[:, None].expand(2, 2, 2)
    assert losses.nt_xent(apart, temperature=tau).item() == pytest.approx(math.log(1 + 2 * math.exp(-1 / tau)))
    alike = apart[:, :, None].expand(2, 2, 2, 2)
    assert method.local_contrast(alike, temperature=tau).item() == pytest.approx(math.log(3))
    opposite = torch.stack([eye, -eye], 1)[:, :, None].expand(2, 2, 2, 2)
    wanted = math.log(1 + 2 * math.exp(-2 / tau))
    assert method.local_contrast(opposite, temperature=tau).item() == pytest.approx(wanted)


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 5), st.integers(0, 10**6))
def test_order_of_subjects_of_augmentations_and_length_do_not_count(subjects: int, seed: int) -> None:
    z = drawn(subjects, 6, 4, seed=seed)
    found = step(z)
    generator = torch.Generator().manual_seed(seed)
    length = 0.1 + torch.rand(subjects, 6, 1, generator=generator, dtype=torch.float64)
    swapped = z[:, [0, 2, 1, 3, 5, 4]]
    for same in (z[torch.randperm(subjects, generator=generator)], z * length, swapped, z.roll(3, 1)):
        for name, value in step(same).items():
            torch.testing.assert_close(value, found[name])


def test_the_sum_over_subjects_is_as_many_times_the_mean_and_weights_weigh() -> None:
    z = drawn(1, 6, 4).expand(5, 6, 4) + 1e-3 * drawn(5, 6, 4)
    summed, mean = step(z), step(z, local_reduction="mean")
    torch.testing.assert_close(summed["local"], mean["local"])
    torch.testing.assert_close(summed["loss"], summed["instance"] + 5 * summed["local"])
    torch.testing.assert_close(step(z, local_weight=0.5)["loss"], summed["instance"] + 2.5 * summed["local"])
    one = step(z[:1, [1, 2, 4, 5]], instance_weight=0)
    alone = step(z[:1, [1, 2, 4, 5]].expand(5, 4, 4), instance_weight=0)
    torch.testing.assert_close(alone["loss"], 5 * one["loss"])
    first = step(z[:, [0, 3]], local_weight=0)
    assert list(first) == ["loss", "instance"]
    torch.testing.assert_close(first["loss"], summed["instance"])


def test_attention_stays_within_windows_and_does_not_see_round_the_edge() -> None:
    """Against attention over all tokens, with a mask made from where each lies."""
    torch.manual_seed(0)
    grid, window = (6, 2, 4, 2), (2, 2, 2, 1)
    block = method.WindowAttention(8, 2, window, shifted=True).double()
    x = drawn(2, *grid, 8)
    places = torch.cartesian_prod(*(torch.arange(side) for side in grid))
    # an axis of one window is not shifted, nor is one whose windows have a single token
    shift = torch.tensor([1, 0, 1, 0])
    cell = (places - shift).div(torch.tensor(window), rounding_mode="floor")
    seen = (cell[:, None] == cell).all(-1)
    q, k, v = block.qkv(block.before(x).flatten(1, 4)).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
    weights = (q @ k.transpose(-1, -2) / 2).masked_fill(~seen, -math.inf).softmax(-1)
    middle = x + block.out((weights @ v).transpose(1, 2).flatten(2)).view_as(x)
    torch.testing.assert_close(block(x), middle + block.mlp(block.after(middle)))
    plain = method.WindowAttention(8, 2, grid).double()
    plain.load_state_dict(block.state_dict())
    assert not torch.allclose(plain(x), block(x))


def test_the_encoder_reads_clips_by_either_mix_and_its_head_has_a_norm_over_the_batch() -> None:
    clips = drawn(3, 4, 7, 6, 5).float()
    for mix in (None, method.attending(8, (2, 3, 3, 2), heads=2)):
        encoder = method.ClipEncoder((4, 7, 6, 5), 8, mix=mix)
        h = encoder(clips)
        assert h.shape == (3, encoder.out_features) == (3, 16)
        h.square().sum().backward()
        assert encoder.position.grad.abs().sum() > 0
    z = method.projection(16, 5)(h)
    torch.testing.assert_close(z.mean(0), torch.zeros(5), atol=1e-5, rtol=0)
    still = method.ClipEncoder((4, 6, 6, 6), 8)(torch.ones(2, 4, 6, 6, 6))
    assert still.isfinite().all()


def test_scans_have_what_lasts_and_what_passes() -> None:
    one, again, other = world.scans(0, 20), world.scans(0, 20), world.scans(0, 20, part=1)
    assert one.x.shape == (20, 60, 6, 6, 6)
    assert one.fingerprint() == again.fingerprint() != other.fingerprint()
    clips = world.moments(one)
    assert clips.x.shape == (120, 10, 6, 6, 6)
    torch.testing.assert_close(clips.x[7], one.x[1, 10:20])
    assert clips.factors["state"][7] == one.factors["state 1"][1]
    assert clips.labels[:7].tolist() == [0] * 6 + [1]
    many = world.moments(world.scans(1, 300))
    loud = many.x.std(1).log()
    places = world.CENTRES.long().tolist()
    first, second, third, fourth = (loud[:, x, y, z] for x, y, z in places)
    for factor, contrast in (("trait", first - second), ("state", third - fourth)):
        related = torch.corrcoef(torch.stack([contrast, *many.factors.values()]))[0, 1:]
        assert related[list(many.factors).index(factor)] > 0.6
        assert related[1 - list(many.factors).index(factor)].abs() < 0.2
    made = one.modality.weak(one.x)(one.x[:2], torch.Generator(), 4)
    assert one.modality.encoder(one.x[:, :10])(made[:, 0, :10]).shape == (2, 32)


AS_IT_IS = {"rotate": 0, "scale": 0, "noise": 0, "smooth": 0}


@pytest.mark.parametrize(("frames", "length", "stride"), [(20, 7, 1), (11, 4, 1), (60, 10, 10), (21, 5, 3)])
def test_two_clips_never_overlap_and_begin_anywhere_else(frames: int, length: int, stride: int) -> None:
    x = torch.arange(float(frames))[None, :, None, None, None].expand(2000, -1, 1, 1, 1)
    views = world.ClipViews(length, stride=stride, **AS_IT_IS)(x, torch.Generator().manual_seed(0), 4)
    assert views.shape == (2000, 4, length, 1, 1, 1)
    torch.testing.assert_close(views[:, 0], views[:, 1])
    starts = views[:, ::2, 0].flatten(1)
    torch.testing.assert_close(views.flatten(2)[0, 2], starts[0, 1] + torch.arange(length))
    assert ((starts[:, 0] - starts[:, 1]).abs() >= length).all()
    possible = set(range(0, frames - length + 1, stride))
    assert set(starts[:, 0].tolist()) == possible
    first = 0
    free = {start for start in possible if abs(start - first) >= length}
    assert set(starts[starts[:, 0] == first, 1].tolist()) == free
    once = world.ClipViews(length, clips=1, stride=stride, **AS_IT_IS)(x, torch.Generator().manual_seed(0), 2)
    assert set(once[:, 0, 0].flatten().tolist()) == possible


def test_frames_of_a_clip_are_changed_alike_and_the_scan_is_left_alone() -> None:
    frame = drawn(1, 1, 6, 7, 8).float()
    x = frame.expand(3, 8, -1, -1, -1).contiguous()
    before = x.clone()
    for changes in (
        {"rotate": 20.0}, {"scale": 0.3}, {"noise": 1.0, "noisy": 1.0}, {"smooth": 0.5, "smoothed": 1.0}, {"gain": 0.5},
    ):  # fmt: skip
        views = world.ClipViews(3, **{**AS_IT_IS, **changes})(x, torch.Generator().manual_seed(0), 4)
        torch.testing.assert_close(views, views[:, :, :1].expand_as(views), msg=str(changes))
        assert all(not torch.equal(views[0, 0], views[0, other]) for other in (1, 2, 3)), changes
        assert torch.equal(x, before)
    ramp = torch.arange(8.0).expand(1, 3, 8, 8, 8)
    flat = world.smoothed(ramp, torch.tensor([[0.0, 0.4, 0.5]]))
    torch.testing.assert_close(flat[..., 1:-1], ramp[..., 1:-1], msg="a Gaussian leaves a slope as it is")
    assert flat[0, 0, 0, 0, 0] > 0


def nifti(values: Tensor, code: str = "h", order: str = "<", slope: float = 0.0, offset: float = 0.0) -> bytes:
    """A file of values (X, Y, Z, T)."""
    header = bytearray(352)
    struct.pack_into(order + "i", header, 0, 348)
    struct.pack_into(order + "8h", header, 40, values.ndim, *values.shape, *[1] * (7 - values.ndim))
    struct.pack_into(order + "h", header, 70, {"h": 4, "f": 16}[code])
    struct.pack_into(order + "3f", header, 108, 352, slope, offset)
    header[344:348] = b"n+1\0"
    flat = values.permute(*reversed(range(values.ndim))).flatten().tolist()
    return bytes(header) + struct.pack(f"{order}{len(flat)}{code}", *(map(int, flat) if code == "h" else flat))


@pytest.mark.parametrize("order", "<>")
def test_scans_are_read_from_nifti_files(tmp_path: Path, order: str) -> None:
    values = torch.arange(2 * 3 * 4 * 5.0).view(2, 3, 4, 5)
    (tmp_path / "scan.nii").write_bytes(nifti(values, order=order))
    torch.testing.assert_close(world.read_nifti(tmp_path / "scan.nii"), values.movedim(3, 0))
    packed = gzip.compress(nifti(values[..., 0], "f", order, slope=2.0, offset=-1.0))
    (tmp_path / "volume.nii.gz").write_bytes(packed)
    torch.testing.assert_close(world.read_nifti(str(tmp_path / "volume.nii.gz")), 2 * values[None, ..., 0] - 1)


def test_files_of_another_form_are_refused_by_name(tmp_path: Path) -> None:
    whole = nifti(torch.zeros(2, 2, 2, 2))
    paired = whole[:344] + b"ni1\0" + whole[348:]
    complex_numbers = whole[:70] + struct.pack("<h", 32) + whole[72:]
    for content, message in (
        (b"", "single file of NIfTI-1"), (paired, "single file of NIfTI-1"), (complex_numbers, "code 32 and 4 axes"),
        (whole[:-1], "whole file"),
    ):  # fmt: skip
        (tmp_path / "scan.nii").write_bytes(content)
        with pytest.raises(ValueError, match=f"path must .*{message}.*|.*scan.nii"):
            world.read_nifti(tmp_path / "scan.nii")


def test_wrong_arguments_are_refused_by_name() -> None:
    x, generator = torch.zeros(2, 19, 2, 2, 2), torch.Generator()
    networks = nn.Identity(), nn.Identity(), "nt_xent", Noisy()
    for call, message in (
        (lambda: world.ClipViews(7)(x, generator, 4), "x must have at least 20 frames for 2 clips of 7, got 19"),
        (lambda: world.ClipViews(20, clips=1)(x, generator, 2), "x must have at least 20 frames for 1 clips of 20"),
        (lambda: world.ClipViews(5)(x[0], generator, 4), r"x must have shape \(B, T, X, Y, Z\)"),
        (lambda: world.ClipViews(5)(x, generator, 3), r"clips must be 1 or 2 and divide n_views \(3\), got 2"),
        (lambda: method.local_contrast(torch.ones(2, 4, 3)), r"z must have shape \(B, C, V, D\)"),
        (lambda: method.SwiFT(*networks, instance_weight=0, local_weight=0), "must be above 0, got 0 for both"),
        (lambda: method.SwiFT(*networks, local_reduction="max"), "local_reduction must be .*got 'max'"),
        (lambda: method.WindowAttention(8, 2, (2, 2, 2)), "window must be four sides"),
        (lambda: method.WindowAttention(8, 3, (2, 2, 2, 2)), r"features must be a multiple of heads \(3\), got 8"),
        (lambda: method.WindowAttention(8, 2, (2, 2, 2, 2))(torch.ones(1, 4, 4, 4, 3, 8)), "window must divide"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_the_probe_tells_what_an_encoder_reads() -> None:
    """One that reads how loud each network is, from where it lies."""

    class Loudness(nn.Module):
        out_features = 4

        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([x[:, :, a, b, c].std(1).log() for a, b, c in world.CENTRES.long().tolist()], 1)

    made = method.SwiFT(Loudness(), nn.Identity(), "nt_xent", study.VIEWS())
    found = study.probe(made, world.scans(0, 60), world.scans(0, 40, part=1))
    assert found[study.TRAIT] > 0.7
    assert found[study.STATE] > 0.4
    assert found[study.SAME] > found[study.OTHERS] + 0.05
    assert found[study.FOUND] > 3 / 40


def test_in_the_panel_lies_a_person_on_a_dot_until_local_contrast_opens_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel, "STEPS", 60)
    alone, opened = panel.learn(0.0, 0.2, "mean"), panel.learn(1.0, 0.2, "sum")
    assert alone.z.shape == (5, 6, 2)
    assert alone.local[-1] == pytest.approx(math.log(3), abs=0.03)
    assert opened.local[-1] < alone.local[-1] - 0.2
    assert opened.instance[-1] > alone.instance[-1] + 0.1
    pictures = [panel.moments_picture({}, course) for course in (alone, opened)]
    tight, wide = (float(dict(picture.readout)["cosine of moments of one person"]) for picture in pictures)
    assert tight > 0.97 > wide
    assert len(pictures[0].alt) <= 200


def test_the_panel_trains_for_each_of_its_knobs(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    course = panel.Course(torch.ones(5, 6, 2).numpy(), torch.ones(3).numpy(), torch.ones(3).numpy())
    monkeypatch.setattr(panel, "learn", lambda **knobs: made.append(tuple(knobs.values())) or course)
    shown = panel.MomentsPanel()
    for name, value in (("weight", 1.0), ("temperature", 0.2), ("local", "sum")):
        shown.knobs[name].value = value
        shown.wait()
    assert made == [(2.0, 0.1, "mean"), (1.0, 0.1, "mean"), (1.0, 0.2, "mean"), (1.0, 0.2, "sum")]
    with pytest.raises(ValueError, match="local must be 'mean' or 'sum', got 'max'"):
        panel.MomentsPanel(local="max")
    with pytest.raises(ValueError, match="weight must be between 0 and 2, got 3"):
        panel.MomentsPanel(weight=3.0)
