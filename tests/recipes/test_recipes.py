"""Every recipe runs from one end to the other in miniature."""

import importlib
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.mark.parametrize(
    ("recipe", "options"), [("simclr", []), ("supcon", ["--encoder", "resnet50"]), ("varcon", ["--seed", "1"])]
)
def test_recipes_run_in_miniature(
    recipe: str,
    options: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.syspath_prepend(RECIPES)
    monkeypatch.setenv("CL_EXPLORE_RUNS", str(tmp_path))
    accuracies = importlib.import_module(recipe).main(["--smoke", *options])
    printed = capsys.readouterr().out
    encoder = options[1] if "--encoder" in options else "resnet18"
    assert printed.lower().startswith(f"{recipe} on factor_world: {encoder}, 2 epochs of batches of 64, seed ")
    for name, accuracy in accuracies.items():
        assert 0 <= accuracy <= 100
        assert f"{name:64} {accuracy:6.2f} %" in printed
    assert [name.partition(",")[0] for name in accuracies] == ["kNN", "kNN", "linear", "linear", "linear"]


def test_every_recipe_is_tested() -> None:
    tested = ["measures", "setting", "simclr", "supcon", "varcon", "varcon_tables"]
    assert sorted(path.stem for path in RECIPES.glob("*.py")) == tested


def test_the_defaults_are_those_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(RECIPES)
    setting = importlib.import_module("setting")
    given = setting.arguments("", [], epochs=1000, batch_size=1024)
    assert (given.data, given.encoder, given.width) == ("cifar10", "resnet18", 64)
    assert (given.epochs, given.batch_size, given.warmup_epochs, given.linear_epochs) == (1000, 1024, 10, 100)
