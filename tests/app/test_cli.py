"""The command line: fast help, exit codes, and what each command is handed."""

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cl_explore import papers
from cl_explore.app import cli, course, doctor, layout

STUDIES = [slug for slug in papers.slugs() if papers.has(slug, "study")]


@pytest.fixture
def notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for name in ("00_start_here", "01_next", "draft"):
        (folder / f"{name}.ipynb").write_text("{}")
    monkeypatch.setattr(layout, "NOTEBOOKS", folder)
    return folder


def test_help_lists_the_commands_and_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from cl_explore.app.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'numpy', 'matplotlib', 'jupyterlab', 'papermill'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert all(command in printed for command in ("lab", "course", "study", "scorecard", "doctor"))
    assert printed.splitlines()[-1] == "[]"


def test_python_m_cl_explore_is_the_same_program() -> None:
    run = subprocess.run([sys.executable, "-m", "cl_explore", "--version"], capture_output=True, text=True, check=True)
    assert run.stdout == "cl_explore 0.1.0\n"


def test_lab_hands_other_options_to_jupyterlab(notebooks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jupyterlab.labapp import LabApp

    handed: list[list[str]] = []
    monkeypatch.setattr(LabApp, "launch_instance", handed.append)
    assert cli.main(["lab", "--no-browser", "--port", "8901"]) == 0
    ((root, connection, address, *rest),) = handed
    assert root == f"--ServerApp.root_dir={notebooks.parent}"
    assert connection == "--ServerApp.kernel_websocket_connection_class=cl_explore.app.connection.PromptConnection"
    assert address == "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb"
    assert rest == ["--no-browser", "--port", "8901"]


def test_lab_lays_the_course_out_where_it_is_told_to(
    notebooks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from jupyterlab.labapp import LabApp

    handed: list[list[str]] = []
    monkeypatch.setattr(LabApp, "launch_instance", handed.append)
    assert cli.main(["lab", "--folder", str(tmp_path / "mine"), "--no-browser"]) == 0
    ((root, _, address, *rest),) = handed
    assert root == f"--ServerApp.root_dir={tmp_path / 'mine'}"
    assert address == "--LabApp.default_url=/lab/tree/00_start_here.ipynb"
    assert rest == ["--no-browser"]
    assert (tmp_path / "mine" / "01_next.ipynb").read_text() == "{}"
    assert capsys.readouterr().out == f"the course is in {tmp_path / 'mine'}\n"


def test_lab_without_notebooks_says_so(notebooks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in notebooks.iterdir():
        path.unlink()
    assert cli.main(["lab"]) == 2
    assert "run from a clone of the repository" in capsys.readouterr().err


@pytest.mark.parametrize(("error", "code"), [(None, 0), ("cell 3 of 9: x\nValueError: no", 1)])
def test_course_runs_what_is_asked_for_and_fails_with_its_notebooks(
    error: str | None, code: int, notebooks: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    handed = {}

    def run(paths: list[Path], out: Path, **settings: object) -> list[course.Result]:
        handed.update(settings, names=[path.stem for path in paths], out=out)
        return [course.Result("01_next", "Next", 1.0, error)]

    monkeypatch.setattr(course, "run", run)
    assert cli.main(["course", "--preset", "smoke", "--jobs", "3", "--out", "there", "01_next"]) == code
    assert handed == {"names": ["01_next"], "out": Path("there"), "jobs": 3, "preset": "smoke", "seed": 0}
    assert capsys.readouterr().out.endswith(f"notebooks: {1 - code} passed, {code} failed\n")


def test_course_names_the_notebooks_there_are(notebooks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["course", "07_absent"]) == 2
    assert "07_absent; there are: start_here, next" in capsys.readouterr().err


RECORD = {
    "study": "toy",
    "title": "A toy",
    "rows": [{"seed": 0, "method": "new", "m": 2.0, "seconds": 1.0}],
    "verdicts": [
        {
            **{"text": "New is large.", "metric": "m", "method": "new", "baseline": 1.0, "expect": "higher"},
            **{"margin": 0.0, "negative": False, "word": "fails"},
            **{"difference": -1.0, "low": -2.0, "high": 0.0, "share": 0.0, "seeds": 5, "near": False},
        }
    ],
}


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple, dict]]:
    """The arguments of each scorecard.run, which runs nothing."""
    calls: list[tuple[tuple, dict]] = []

    def run(*positional: object, on_record: Callable = lambda record: None, **named: object) -> list[dict]:
        calls.append((positional, named))
        on_record(RECORD)
        return [RECORD]

    monkeypatch.setattr("cl_explore.claims.scorecard.run", run)
    return calls


def test_study_prints_its_verdicts_and_writes_its_results(
    handed: list, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slug = STUDIES[0]
    line = ["study", slug, "--seeds", "7", "--set", "epochs=2", "--set", "dataset=gaussians", "--out", str(tmp_path)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cl_explore.claims.figures.save", lambda draw, rows, path: path.write_bytes(b"picture"))
        assert cli.main(line) == 0
    changes = {"epochs": 2, "dataset": "gaussians"}
    wanted = {"seeds": 7, "jobs": 2, "changes": changes, "command": f"cl-explore {' '.join(line)}"}
    assert handed == [(([papers.study(slug)], "laptop"), wanted)]
    printed = capsys.readouterr().out
    assert "fails      New is large.\n           m: new against 1: −1 [−2, +0], claimed > 0, 0/5 seeds" in printed
    assert {path.name for path in tmp_path.iterdir()} == {"toy.json", f"{slug}.png"}


@pytest.mark.parametrize("command", ["study", "papers"])
def test_lists_are_quick_and_import_nothing_heavy(command: str) -> None:
    code = (
        "import sys\n"
        "from cl_explore.app.cli import main\n"
        f"main(['{command}'])\n"
        "print(sorted({'torch', 'numpy', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert all(slug in printed for slug in STUDIES)
    assert printed.splitlines()[-1] == "[]"


def test_the_list_of_runs_imports_nothing_heavy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "0123456789abcdef").mkdir()
    config = {"dataset": {"name": "toy"}, "method": "Method(x)", "epochs": 2, "batch_size": 16, "seed": 0}
    (tmp_path / "0123456789abcdef" / "run.json").write_text(json.dumps({"config": config}))
    monkeypatch.setenv("CL_EXPLORE_RUNS", str(tmp_path))
    code = (
        "import sys\n"
        "from cl_explore.app.cli import main\n"
        "main(['runs'])\n"
        "print(sorted({'torch', 'numpy', 'pandas'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    head, row, heavy = (line.split() for line in printed.splitlines())
    assert head == ["run", "days", "megabytes", "dataset", "method", "epochs", "batch_size", "seed"]
    assert row == ["0123456789abcdef", "0.0", "0.0", "toy", "Method", "2", "16", "0"]
    assert heavy == ["[]"]


def test_study_without_a_name_lists_the_studies(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["study"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == STUDIES


def test_settings_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["study", STUDIES[0], "--set", "epochs"]) == 2
    assert "--set must be NAME=VALUE, got 'epochs'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ([], "data/scorecard"),
        (["--preset", "smoke"], "build/scorecard/smoke"),
        (["--preset", "real"], "data/scorecard/real"),
        (["--out", "x"], "x"),
    ],
)
def test_scorecard_runs_all_studies_and_passes_even_if_claims_fail(
    options: list[str], place: str, handed: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert cli.main(["scorecard", *options]) == 0
    ((positional, named),) = handed
    preset = options[1] if "--preset" in options else "laptop"
    having = [slug for slug in STUDIES if papers.study(slug).has(preset)]
    assert ([study.paper.slug for study in positional[0]], *positional[1:]) == (having, preset)
    assert ("taco" in having) is (preset != "real")  # all its data are drawn
    assert named["command"] == " ".join(["cl-explore scorecard", *options])
    assert (named["seeds"], named["seeds_from"]) == (None, 0)
    assert (tmp_path / place / "toy.json").is_file()
    assert capsys.readouterr().out.endswith(f"recorded in {place}; of their claims 1 fails\n")


@pytest.mark.parametrize(
    ("options", "place"),
    [
        (["--seeds-from", "20"], None),
        (["--seeds", "3", "--preset", "real"], None),
        (["--seeds-from", "0"], None),
        (["--seeds-from", "20", "--out", "mine"], "mine"),
    ],
)
def test_other_seeds_than_the_rule_has_are_written_only_where_asked(
    options: list[str], place: str | None, handed: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert cli.main(["scorecard", STUDIES[0], *options]) == 0
    ((_, named),) = handed
    given = dict(zip(options[::2], options[1::2], strict=True))
    assert str(named["seeds_from"]) == given.get("--seeds-from", "0")
    assert named["seeds"] == (3 if "--seeds" in given else None)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.json")] == [f"{place}/toy.json"] * bool(place)
    where = f"recorded in {place}" if place else "not recorded (--out FOLDER does)"
    assert capsys.readouterr().out.endswith(f"{where}; of their claims 1 fails\n")


def test_a_study_is_a_first_look(handed: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cl_explore.claims.figures.save", lambda draw, rows, path: path.write_bytes(b"picture"))
    for preset in ("laptop", "smoke"):
        cli.main(["study", STUDIES[0], "--preset", preset, "--out", str(tmp_path)])
    assert [named["seeds"] for _, named in handed] == [5, 1]


def test_what_reads_the_output_may_stop_before_its_end() -> None:
    command = [sys.executable, "-m", "cl_explore", "papers"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as listing:
        assert listing.stdout is not None
        assert listing.stderr is not None
        listing.stdout.close()
        assert listing.stderr.read() == b""
    assert listing.returncode == 141


def test_unknown_options_are_refused() -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["doctor", "--thoroughly"])
    assert stop.value.code == 2


def test_doctor_finds_the_packages_of_this_environment() -> None:
    found = list(doctor.packages())
    assert all(mark == doctor.OK for mark, _ in found), found
    assert any(text.startswith("torch ") for _, text in found)


def test_doctor_fails_only_for_what_is_required(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lacking() -> Iterator[doctor.Finding]:
        yield doctor.LACKING, "data set x was not found: do this"

    def failing() -> Iterator[doctor.Finding]:
        raise OSError("no space left")
        yield

    for check in ("extras", "device", "umap_cache", "data_sets", "run_store"):
        monkeypatch.setattr(doctor, check, lacking)
    assert cli.main(["doctor"]) == 0
    monkeypatch.setattr(doctor, "run_store", failing)
    assert cli.main(["doctor"]) == 1
    assert "!!  failing: OSError: no space left" in capsys.readouterr().out


def test_doctor_names_an_outdated_package_and_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "version_of", lambda requirement: None if requirement.name == "torch" else "0.0.1")
    found = dict(reversed(finding) for finding in doctor.packages())
    (torch,) = [text for text in found if text.startswith("torch")]
    assert found[torch] == doctor.BROKEN
    assert "torch is not installed (needs >=2.7): run `make lab`" in torch
    (numpy,) = [text for text in found if text.startswith("numpy")]
    assert found[numpy] == doctor.BROKEN


def test_doctor_tells_where_runs_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CL_EXPLORE_RUNS", str(tmp_path))
    ((mark, text),) = doctor.run_store()
    assert mark == doctor.OK
    assert f"{tmp_path} (0 runs" in text


def test_doctor_lists_every_data_set_and_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cl_explore import data
    from cl_explore.data import published

    monkeypatch.setattr(published, "CLONE", tmp_path)
    monkeypatch.setenv("CL_EXPLORE_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for split in ("train", "val"):
        (tmp_path / "imagenet" / split).mkdir(parents=True)
    (folders, *found) = list(doctor.data_sets())
    assert str(tmp_path) in folders[1]
    assert [text.split()[2].rstrip(":") for _, text in found] == data.names()
    marks = {text.split()[2].rstrip(":"): (mark, text) for mark, text in found}
    assert marks["digits"][0] == doctor.OK
    assert marks["imagenet"] == (doctor.OK, f"data set imagenet: {tmp_path / 'imagenet'}"), "found, and not decoded"
    assert marks["cifar10"][0] == doctor.LACKING
    assert "load('cifar10', download=True)" in marks["cifar10"][1]


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_an_output_that_lacks_a_sign_ends_no_study(
    handed: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding=encoding))
    monkeypatch.setattr("cl_explore.claims.figures.save", lambda draw, rows, path: path.write_bytes(b"picture"))
    assert cli.main(["study", STUDIES[0], "--out", str(tmp_path)]) == 0
    sys.stdout.flush()
    assert b"new against 1: ?1 [?2, +0]" in shown.getvalue()


def test_the_record_is_written_before_anything_is_shown(
    handed: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cl_explore.claims.figures.save", full)
    with pytest.raises(OSError, match="No space left"):
        cli.main(["study", STUDIES[0], "--out", str(tmp_path)])
    assert (tmp_path / "toy.json").exists()
