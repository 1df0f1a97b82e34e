"""VarCon's tables run from one end to the other in miniature, and their measures measure what they say."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cl_explore import data, nn
from cl_explore.data import Dataset, published
from cl_explore.papers.varcon import method as recipe
from cl_explore.papers.varcon import study, tables

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def _store(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run store that the tests share, as the tables share their trainings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CL_EXPLORE_RUNS", str(tmp_path_factory.mktemp("runs")))
        yield


@pytest.mark.parametrize("table", ["cifar100", "views", "transfer", "imagenet"])
def test_a_table_is_made_in_miniature(table: str, tmp_path: Path) -> None:
    rows = tables.main([table, "--smoke", "--seed", "1", "--out", str(tmp_path)])
    assert json.loads((tmp_path / f"{table}-1.json").read_text()) == rows
    assert len({(row["method"], row["views"], row["measure"]) for row in rows}) == len(rows)
    assert {row["method"] for row in rows} == {"VarCon", "SupCon"}
    assert {row["views"] for row in rows} == set(tables.EXPERIMENTS[table].strengths)
    assert all(-100 <= row["value"] <= 100 for row in rows)
    lines = (tmp_path / f"{table}-1.md").read_text().splitlines()
    assert lines[0] == "| views | measure | VarCon | SupCon |"
    first, second = rows[0], next(row for row in rows if row["method"] == "SupCon")
    assert lines[2] == f"| {first['views']:g} | {first['measure']} | {first['value']:.2f} | {second['value']:.2f} |"
    assert len(lines) == 2 + len(rows) / 2


def test_another_method_and_length_may_be_asked_for(tmp_path: Path) -> None:
    asked = [
        "--methods",
        "untrained encoder",
        "SimCLR",
        "--encoder",
        "resnet50",
        "--epochs",
        "2",
        "--linear-epochs",
        "1",
    ]
    rows = tables.main(["views", "--smoke", *asked, "--out", str(tmp_path)])
    assert {row["method"] for row in rows} == {"untrained encoder", "SimCLR"}
    linear = [row["measure"] for row in rows if row["method"] == "SimCLR" and row["measure"].startswith("linear")]
    assert linear[:2] == ["linear, lr 1, last epoch", "linear, lr 1, best epoch on the test part"]


def test_the_settings_are_those_published() -> None:
    """Learning rate and weight decay for batches of 1024, with the factors by which the losses differ from theirs."""
    found = {title: recipe.entry(title, epochs=200).settings for title in ("VarCon", "SupCon", "SimCLR")}
    assert [found[title]["lr"] for title in found] == pytest.approx([0.5 / 8, 0.5 / 0.7, 0.5 * 0.5 / 0.07])
    assert [found[title]["weight_decay"] for title in found] == pytest.approx([8e-4, 0.7e-4, 1e-4 * 0.07 / 0.5])
    assert {(each["optimizer"], each["batch_size"], each["warmup_epochs"]) for each in found.values()} == {
        ("sgd", 1024, 10)
    }
    half = recipe.entry("SupCon", epochs=50, batch_size=512).settings
    assert (half["lr"], half["warmup_epochs"]) == (pytest.approx(0.25 / 0.7), 5)
    assert recipe.entry("VarCon", epochs=1).options == {"temperature": 0.1, "epsilon": pytest.approx(0.02)}


def test_the_study_trains_images_in_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its preset for a GPU is the recipe; other temperatures keep the steps of the published code."""
    settings = study.STUDY.settings("real")
    assert (settings["dataset"], settings["epochs"], settings["batch_size"]) == ("cifar100", 200, 1024)
    plans: list[dict[str, Any]] = []

    def stop(plan: dict[str, Any], *rest: Any, **options: Any) -> None:
        plans.append(plan)
        raise InterruptedError

    monkeypatch.setattr(study, "compare", stop)
    with pytest.raises(InterruptedError):
        study.run(0, dataset="factor_world", encoder="resnet18", lr=None, samples=64, epochs=200, batch_size=1024)
    (plan,) = plans
    assert plan["VarCon τ=0.1"].settings == recipe.entry("VarCon", epochs=200).settings
    assert plan["SupCon τ=0.1"].settings == recipe.entry("SupCon", epochs=200).settings
    assert plan["SupCon τ=0.5"].settings["lr"] == pytest.approx(5 * plan["SupCon τ=0.1"].settings["lr"])
    with pytest.raises(ValueError, match=r"lr must be None with an encoder and a number without one, got 0\.003"):
        study.run(0, encoder="resnet18")


def test_its_data_sets_exist_and_take_the_sizes_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CL_EXPLORE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(published, "CLONE", tmp_path)
    for table, experiment in tables.EXPERIMENTS.items():
        with pytest.raises(FileNotFoundError, match=rf"{experiment.data} \(train\) was not found"):
            tables.main([table])
        assert set(experiment.targets) <= set(data.names())
        assert hasattr(nn, experiment.encoder)
    with pytest.raises(FileNotFoundError, match=r"cifar100 \(train\) was not found"):
        tables.main(["cifar10", "--data", "cifar100"])


def test_the_stem_for_photographs_divides_the_side_by_four() -> None:
    backbone = nn.resnet18(width=8)
    recipe.widen_stem(backbone)
    assert backbone.layers[:4](torch.zeros(2, 3, 64, 64)).shape == (2, 8, 16, 16)
    assert backbone(torch.zeros(2, 3, 64, 64)).shape == (2, backbone.out_features)


class Given(torch.nn.Module):
    """A method whose representation is its input."""

    def forward(self, x: Tensor) -> Tensor:
        return x

    project = forward


def test_clusters_are_compared_with_classes_and_superclasses() -> None:
    """Two superclasses at right angles, of two classes each that lie a little apart."""
    labels = torch.arange(40) % 4
    corner = torch.tensor([[1.0, 0.3, 0.0], [1.0, -0.3, 0.0], [0.0, 0.3, 1.0], [0.0, -0.3, 1.0]])
    h = corner[labels] + 0.01 * torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    test = Dataset("tree", h, labels, torch.arange(40), tuple("abcd"), {"superclass": labels // 2})
    found = recipe.clusters(Given(), test, test, seed=0)  # type: ignore[arg-type]
    assert len(found) == 6
    assert list(found.values()) == pytest.approx([100] * 6)


def test_few_labels_are_as_many_as_named() -> None:
    """One class in two places: one label cannot know of both, ten do."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(80) % 2
    place = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.1]])[torch.arange(80) % 4]
    h = place + 0.01 * torch.randn(80, 3, generator=generator)
    seen = Dataset("two places", h, labels, torch.arange(80), ("a", "b"))
    found = recipe.few_labels(Given(), seen, seen, seed=0)  # type: ignore[arg-type]
    assert found["1 labels a class, nearest"] < 90
    assert found["10 labels a class, nearest"] == pytest.approx(100)


def test_every_table_is_in_the_documentation() -> None:
    page = (ROOT / "docs" / "varcon_tables.md").read_text()
    commands = [f"`python -m cl_explore.papers.varcon.tables {name}`" for name in tables.EXPERIMENTS]
    assert [command for command in commands if command not in page] == []
