"""DNA-ESA: golden losses and alignments, words and byte pairs, reads with errors, genomes, its panel."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cl_explore import losses
from cl_explore.papers.dna_esa import method, panel, study, world
from cl_explore.papers.dna_esa.world import tokens

CASES = json.loads((Path(__file__).parents[1] / "golden" / "dna-esa.json").read_text())["cases"]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("case", [case for case in CASES if "loss" in case], ids=lambda case: case["name"])
def test_fragments_find_their_reads_by_the_golden_loss(case: dict) -> None:
    fragment, read = (
        torch.tensor(case["inputs"][f"{side}_embeddings"], dtype=torch.float64, requires_grad=True)
        for side in ("fragment", "read")
    )
    loss = losses.info_nce(fragment, read, temperature=case["params"]["temperature"])
    assert loss.item() == pytest.approx(case["loss"], abs=1e-9)
    loss.backward()
    for side, found in (("fragment", fragment.grad), ("read", read.grad)):
        expected = torch.tensor(case["grad"][f"{side}_embeddings"], dtype=torch.float64)
        torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)
    scaled = losses.info_nce(3 * fragment, read * torch.arange(1, len(read) + 1)[:, None], **case["params"])
    torch.testing.assert_close(scaled, loss)


@pytest.mark.parametrize("case", [case for case in CASES if "outputs" in case], ids=lambda case: case["name"])
def test_alignments_are_the_golden_ones(case: dict) -> None:
    read, fragment = (tokens(case["inputs"][side])[None] for side in ("read", "fragment"))
    params = {"match": 2, "mismatch": -1, "open_gap": -0.5, "extend_gap": -0.1}
    assert case["params"] == params
    found = method.smith_waterman(read, fragment, **params)
    assert found.score.item() == pytest.approx(-case["outputs"]["distance"], abs=1e-9)
    assert found.begins.tolist() == case["outputs"]["begins"]


def by_loops(read: Tensor, fragment: Tensor) -> float:
    """The best score, cell by cell, with a gap of every length."""
    best = np.zeros((len(read) + 1, len(fragment) + 1))
    for i in range(1, len(read) + 1):
        for j in range(1, len(fragment) + 1):
            gaps = [best[i - g, j] - 0.4 - 0.1 * g for g in range(1, i + 1)]
            gaps += [best[i, j - g] - 0.4 - 0.1 * g for g in range(1, j + 1)]
            best[i, j] = max(0, best[i - 1, j - 1] + (2 if read[i - 1] == fragment[j - 1] else -1), *gaps)
    return float(best.max())


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 14))
def test_alignment_is_the_best_of_all_and_padding_counts_for_nothing(seed: int, short: int, long: int) -> None:
    read, fragment = (world.random_dna(length, generator(seed + length)) for length in (short, long))
    padded = nn.functional.pad(read, (0, 3))[None], nn.functional.pad(fragment, (0, 2))[None]
    for pair in ((read[None], fragment[None]), padded):
        assert method.smith_waterman(*pair).score.item() == pytest.approx(by_loops(read, fragment))


def test_an_exact_read_scores_two_a_base_and_is_placed_where_it_was_taken_from() -> None:
    genome = world.lambda_phage()
    made = world.trial(genome, 24, generator(), substitutions=0, indels=0)
    embed = method.KmerCounts(5)
    near = method.search(embed(made.reads), embed(made.fragments), 2)
    placed = method.align(made.reads, made.fragments, made.starts, near)
    held = made.holds[near, torch.arange(24)[:, None]].any(1)
    assert held.sum() >= 20
    assert placed.score[held].eq(200).all()
    assert placed.place[held].tolist() == made.places[held].tolist()
    assert (placed.row[:, None] == near).any(1).all()
    wrong = placed._replace(place=placed.place + 500)
    assert method.success(wrong, made.places, 100)[held].all(), "as good a match elsewhere counts"
    assert not method.success(wrong._replace(score=placed.score - 21), made.places, 100).any()
    assert method.success(placed._replace(score=placed.score * 0), made.places - 10, 100)[held].all()


def test_a_trial_says_which_fragments_hold_a_read() -> None:
    made = world.trial(world.lambda_phage(), 200, generator())
    assert made.starts[-1] + 400 == 48_502
    assert set(made.holds.sum(0).tolist()) <= {1, 2, 3}
    row, read = made.holds.nonzero()[17].tolist()
    assert 0 <= made.places[read] - made.starts[row] <= 300
    with pytest.raises(ValueError, match="overlap by at least a read of 100 bases, got 50"):
        world.trial(world.lambda_phage(), 5, generator(), stride=350)


def test_words_are_counted_and_padding_is_not() -> None:
    embed = method.KmerCounts(3)
    made = embed(torch.stack([tokens("ACACACG"), nn.functional.pad(tokens("CGT"), (0, 4)), torch.zeros(7).long()]))
    numbers = {"ACA": 4, "CAC": 17, "ACG": 6, "CGT": 27}
    counts = torch.zeros(3, 64)
    counts[0, [numbers[word] for word in ("ACA", "CAC", "ACG")]] = torch.tensor([2, 2, 1.0])
    counts[1, numbers["CGT"]] = 1
    torch.testing.assert_close(made, nn.functional.normalize(counts.sqrt(), dim=1))
    assert embed(tokens("AC")[None]).eq(0).all()


def test_byte_pairs_are_merged_from_left_to_right_and_lose_nothing() -> None:
    assert method.learn_merges(tokens("ACACACGACAC"), 7) == [(1, 2), (5, 5)]
    assert method.encode_pairs(tokens("AAAAAC")[None], [(1, 1)]).tolist() == [[5, 5, 1, 2, 0, 0]]
    genome = world.lambda_phage()[:5000]
    merges = method.learn_merges(genome, 60)
    assert len(set(merges)) == 55
    spelled = [[base] for base in range(5)]
    for first, second in merges:
        spelled.append(spelled[first] + spelled[second])
    row = nn.functional.pad(genome[100:400], (0, 30))
    coded = method.encode_pairs(torch.stack([row, row.roll(30)]), merges)[0]
    assert [base for token in coded[coded > 0].tolist() for base in spelled[token]] == genome[100:400].tolist()
    assert (coded > 0).sum() < 150
    with pytest.raises(ValueError, match="vocabulary must be at least 6"):
        method.learn_merges(genome, 5)


def test_the_transformer_reads_no_padding_but_order() -> None:
    torch.manual_seed(0)
    encoder = method.ReadTransformer([(1, 2), (3, 3)], width=8, depth=1, heads=2).double()
    reads = torch.stack([tokens("ACGTTGGCAT"), tokens("GGACTTACGA")])
    padded = torch.cat([nn.functional.pad(reads, (0, 5)), torch.zeros(1, 15).long()])
    torch.testing.assert_close(encoder(padded)[:2], encoder(reads))
    assert encoder(padded)[2].eq(0).all()
    assert not torch.allclose(encoder(reads.flip(1)), encoder(reads))
    sines = encoder.sines(4, torch.device("cpu"))
    torch.testing.assert_close(sines[3, [0, 3, 4]], torch.tensor([3.0, 3e-4, 3.0]).sin().where(
        torch.tensor([True, True, False]), torch.tensor(3.0).cos()))  # fmt: skip
    with pytest.raises(ValueError, match="width must be even, for a sine and a cosine each, got 9"):
        method.ReadTransformer([], width=9, depth=1, heads=3)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_a_read_is_a_stretch_of_its_fragment_and_that_of_its_window(seed: int) -> None:
    x = world.random_dna(480, generator(seed)).view(2, 240)
    views = world.FragmentAndRead((100, 150), (30, 60), 0, 0)(x, generator(seed), 2)
    for window, (fragment, read) in zip(x, views, strict=True):
        whole, middle, small = (world.letters(part) for part in (window, fragment, read))
        assert 100 <= len(middle) <= 150
        assert 30 <= len(small) <= 60
        assert small in middle
        assert middle in whole


def test_errors_come_at_their_rates() -> None:
    bases = nn.functional.pad(world.random_dna(40_000, generator()).view(100, 400), (0, 100))
    swapped = world.noisy(bases, 0.1, 0, generator())
    assert (swapped > 0).equal(bases > 0)
    assert (swapped != bases).sum() / 40_000 == pytest.approx(0.1, abs=0.01)
    assert world.noisy(bases, 1, 0, generator())[bases > 0].ne(bases[bases > 0]).all()
    lengths = (world.noisy(bases, 0, 0.2, generator()) > 0).sum(1).float()
    assert lengths.mean() == pytest.approx(400, abs=3)
    assert lengths.std() == pytest.approx((400 * 0.2) ** 0.5, rel=0.25)
    assert world.noisy(bases, 0, 0, generator()).equal(bases)
    assert world.noisy(bases[:, :400], 0, 1, generator()).shape == (100, 400), "what is pushed out is lost"


def test_a_step_has_one_direction_or_both() -> None:
    seen = world.windows(world.lambda_phage(), 12, 400)
    batch = seen.batch(torch.arange(12))
    encoder = nn.Sequential(method.KmerCounts(3), nn.Linear(64, 6))
    for symmetric in (False, True):
        made = method.embedder(encoder, world.FragmentAndRead(), symmetric=symmetric)
        fragment, read = made.embed_views(batch, generator()).z.unbind(1)
        one, other = (losses.info_nce(*pair, temperature=0.05) for pair in ((fragment, read), (read, fragment)))
        expected = (one + other) / 2 if symmetric else one
        torch.testing.assert_close(made.step(batch, generator()).loss, expected)


def test_what_cannot_be_is_named() -> None:
    genome = world.random_dna(50, generator())
    row = genome[None]
    for said, call in (
        (r"must be of A, C, G and T, got 'N', 'X'", lambda: tokens("ACGTNx")),
        ("genome must have at least 60 bases, those of a window, got 50", lambda: world.windows(genome, 3, 60)),
        ("read must be at most as long as any fragment", lambda: world.FragmentAndRead((50, 90), (40, 60))),
        ("substitutions must be between 0 and 1, got 2", lambda: world.FragmentAndRead(substitutions=2)),
        ("at least 400 bases, and two views, got 50 and 2",
         lambda: world.FragmentAndRead()(row, generator(), 2)),
        ("open_gap must be at most extend_gap", lambda: method.smith_waterman(row, row, open_gap=-0.05)),
        (r"fragment must have shape \(P, L\) with P = 1", lambda: method.smith_waterman(row, row.view(2, 25))),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            call()


def test_genomes_are_read_as_they_are_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    genome = world.lambda_phage()
    assert (len(genome), world.letters(genome[:12]), world.letters(genome[-4:])) == (48_502, "GGGCGGCGACCT", "TACG")
    monkeypatch.setattr(world, "LAMBDA", tmp_path / "short")
    (tmp_path / "short").write_bytes(bytes(12_126))
    with pytest.raises(ValueError, match="short is damaged: the sequence has sha256"):
        world.lambda_phage()
    monkeypatch.setenv("CL_EXPLORE_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    bare = world.Published("Bacterial genomes", world.BACTERIA.layouts, world.BACTERIA.folders,
                           advice=world.BACTERIA.advice, licence=world.BACTERIA.licence)  # fmt: skip
    monkeypatch.setattr(world, "BACTERIA", bare)
    with pytest.raises(FileNotFoundError, match=r"(?s)MG1655-K12.fasta.gz.*BSD-3.*apt install ragout-examples"):
        world.bacterium("E. coli")
    file = tmp_path / "ragout-examples" / world.FILES["E. coli"][0]
    file.parent.mkdir(parents=True)
    file.write_bytes(gzip.compress(b">K-12 of many\nACGT\n\nggta\n"))
    assert world.letters(world.bacterium("E. coli")) == "ACGTGGTA"
    file.write_bytes(gzip.compress(b">one\nACGT\n>two\nACGT\n"))
    with pytest.raises(ValueError, match=r"MG1655-K12.fasta.gz must hold one record, which begins with >, got 2"):
        world.bacterium("E. coli")


def test_vectors_of_words_find_reads_and_untrained_ones_do_not() -> None:
    made = world.trial(world.lambda_phage(), 60, generator(3))
    found = {name: study.measure(embed, made, 5) for name, embed in study.plain(made.fragments, 16, 0).items()}
    for row in found.values():
        assert 0 <= row[study.FIRST] <= row[study.FIVE] <= row[study.TWENTY] <= 1, "recall never falls with K"
    first = [found[name][study.FIRST] for name in (study.WORDS, study.PCA, study.UNTRAINED)]
    assert first[0] > 0.9 > first[1] > first[2] + 0.3
    kept = study.measure(lambda bases: -study.plain(made.fragments, 16, 0)[study.WORDS](bases), made, 5)
    assert kept == found[study.WORDS], "where all vectors are turned, nothing changes"


def test_the_panel_shows_where_a_read_is_placed_and_what_each_control_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    words = method.KmerCounts()
    monkeypatch.setattr(panel, "trained", lambda: nn.Sequential(words, nn.Linear(words.out_features, 16)))
    shown = panel.ReadsPanel(study.WORDS, k=3)
    read = dict(shown.picture.readout)
    assert read["true place"] == read["placed at"] == "39,636"
    assert read["rank of the first right fragment"] == "1 of 322"
    along, curves, dots = shown.picture.charts
    line, wrong, right, _ = along.marks
    assert (len(line.x), len(wrong.x) + len(right.x), len(curves.marks)) == (322, 3, 5)
    assert (right.y.max(), abs(right.x[0] - 39.636) < 0.4) == (line.y.max(), True)
    x, y = dots.marks[0].x, dots.marks[0].y
    assert ((x - y >= 39_630) & (x - y <= 39_642)).sum() > 40, "a diagonal"
    for name, value in (("k", 5), ("error", 0.3), ("read", 2), ("vector", study.PCA)):
        before = shown.picture
        shown.knobs[name].value = value
        assert shown.canvas.data
        assert shown.picture.readout != before.readout
    assert len(shown.picture.alt) <= 200
    with pytest.raises(ValueError, match=r"error must be one of 0, 0\.04.*got 0\.1"):
        panel.ReadsPanel(error=0.1)
    panel.searched.cache_clear()
    panel.find.cache_clear()
    panel.place.cache_clear()
