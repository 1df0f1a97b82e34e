"""The course runner: real kernels on tiny notebooks that pass, fail and die."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from cl_explore.app import course

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PARAMETERS = 'preset: str = "laptop"\nseed: int = 0'


def write_notebook(path: Path, *cells: str, parameters: str = PARAMETERS) -> Path:
    tagged = new_code_cell(parameters, metadata={"tags": ["parameters"]})
    notebook = new_notebook(
        cells=[new_markdown_cell(f"# About {path.stem}"), tagged, *map(new_code_cell, cells)],
        metadata={"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, path)
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[course.Result], Path, list[str]]:
    """Three notebooks run two at a time, where the kernel that is installed as "python3" does not work."""
    folder = tmp_path_factory.mktemp("course")
    broken_kernel = folder / "data" / "kernels" / "python3"
    broken_kernel.mkdir(parents=True)
    spec = {"argv": ["/bin/false"], "display_name": "broken", "language": "python"}
    (broken_kernel / "kernel.json").write_text(json.dumps(spec))
    picture = f"""
from IPython.display import display
alt = {{"image/png": {{"alt": 'a "red" dot'}}}}
display({{"image/png": "{PNG}", "text/plain": "a dot"}}, raw=True, metadata=alt)
display({{"application/vnd.plotly.v1+json": {{"data": [{{"y": [1, 2]}}], "layout": {{}}}}}}, raw=True)
import ipywidgets
display(ipywidgets.IntProgress(value=3))"""
    surroundings = """
import os, sys
print(preset, seed, sys.executable, os.getcwd(), os.environ["OMP_NUM_THREADS"])"""
    notebooks = [
        write_notebook(folder / "00_passes.ipynb", surroundings, picture),
        write_notebook(folder / "01_fails.ipynb", "print('so far')", "# a claim\nassert 1 > 2, 'one is <less>'", "1"),
        write_notebook(folder / "02_dies.ipynb", "import os; os._exit(1)"),
    ]
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_DATA_DIR", str(folder / "data"))
        patch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
        results = course.run(notebooks, folder / "out", report=lines.append, preset="smoke", seed=7)
    return results, folder / "out", lines


def test_failures_name_the_cell_and_the_error_and_stop_no_other(finished) -> None:
    results, _, lines = finished
    passes, fails, dies = results
    assert passes.error is None
    assert fails.error == "cell 4 of 5: # a claim\nAssertionError: one is <less>"
    assert dies.error.startswith("cell 3 of 3: import os; os._exit(1)\nDeadKernelError")
    assert [result.title for result in results] == ["About 00_passes", "About 01_fails", "About 02_dies"]
    assert sorted(line.split()[0] for line in lines) == ["00_passes", "01_fails", "02_dies"]
    assert course.summary(results).splitlines()[-1] == "notebooks: 1 passed, 2 failed"


def test_notebooks_run_in_this_interpreter_with_the_parameters_handed_over(finished) -> None:
    _, out, _ = finished
    done = nbformat.read(out / "00_passes.ipynb", as_version=4)
    printed = "".join(output.text for cell in done.cells for output in cell.get("outputs", []) if "text" in output)
    assert printed.split() == ["smoke", "7", sys.executable, str(out.parent), "1"]


def test_partial_outputs_of_a_failed_notebook_are_kept(finished) -> None:
    _, out, _ = finished
    assert "so far" in (out / "01_fails.ipynb").read_text()
    assert "so far" in (out / "01_fails.html").read_text()


def test_pages_carry_alt_text_and_draw_plotly_without_the_web(finished) -> None:
    _, out, _ = finished
    page = (out / "00_passes.html").read_text()
    assert 'alt="a &quot;red&quot; dot"' in page or "alt='a \"red\" dot'" in page
    assert 'src="plotly.min.js"' in page
    assert (out / "plotly.min.js").stat().st_size > 1_000_000
    assert "IntProgress(value=3)" in (out / "00_passes.ipynb").read_text().replace('IntProgress(value=3))"', "")
    assert "IntProgress(value=3" not in page  # the bar itself; in the code, tags stand between the two words
    assert "require.min.js" not in page


def test_index_lists_every_notebook_with_its_error(finished) -> None:
    _, out, _ = finished
    index = (out / "index.html").read_text()
    assert all(f'href="{name}.html"' in index for name in ("00_passes", "01_fails", "02_dies"))
    assert "one is &lt;less&gt;" in index
    assert "preset = smoke, seed = 7" in index


def test_a_parameter_that_a_notebook_does_not_declare_is_refused(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "00_old.ipynb", parameters="preset: str = 'laptop'")
    with pytest.raises(ValueError, match=r"00_old\.ipynb must declare seed in the cell tagged `parameters`"):
        course.run([notebook], tmp_path / "out", preset="smoke", seed=0)
    assert not (tmp_path / "out").exists()


def test_bad_input_is_refused_before_anything_runs(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "00_fine.ipynb")
    with pytest.raises(ValueError, match="jobs must be at least 1, got 0"):
        course.run([notebook], tmp_path / "out", jobs=0)
    with pytest.raises(FileNotFoundError, match=r"there is no notebook .*absent"):
        course.run([tmp_path / "absent.ipynb"], tmp_path / "out")
    with pytest.raises(ValueError, match="at least one notebook"):
        course.run([], tmp_path / "out")
    with pytest.raises(ValueError, match="differ in name"):
        course.run([notebook, notebook], tmp_path / "out")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for the kernel in /proc")
def test_interrupt_stops_the_kernels(tmp_path: Path) -> None:
    slow = write_notebook(
        tmp_path / "00_slow.ipynb",
        "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\ntime.sleep(60)",
    )
    code = f"from cl_explore.app.course import run\nfrom pathlib import Path\nrun([Path({str(slow)!r})], Path('out'))"
    runner = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stderr=subprocess.PIPE)
    kernel = tmp_path / "pid"
    deadline = time.monotonic() + 30
    while not (kernel.exists() and kernel.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(runner.pid, signal.SIGINT)
    assert b"KeyboardInterrupt" in runner.communicate(timeout=20)[1]
    assert runner.returncode != 0
    while Path("/proc", kernel.read_text()).exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path("/proc", kernel.read_text()).exists()


def test_what_the_disk_does_not_take_or_no_encoding_has_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def execute(source: str, target: str, **_: object) -> None:
        if "large" in source:
            Path(target).write_text('{"cells": [', encoding="utf-8")
            raise OSError(28, "No space left on device")
        Path(target).write_bytes(Path(source).read_bytes())

    really = Path.write_text

    def full(path: Path, text: str, *more: object, **named: object) -> int:
        if path.name in ("01_page.html", "index.html"):
            raise OSError(28, "No space left on device")
        return really(path, text, *more, **named)  # type: ignore[arg-type]

    names = ("00_large", "01_page", "02_odd_\udce9", "03_small")
    plain = write_notebook(tmp_path / "plain.ipynb", "print(seed)")
    notebooks = [tmp_path / f"{name}.ipynb" for name in names]
    for notebook in notebooks:
        notebook.write_bytes(plain.read_bytes())
    monkeypatch.setattr(course.papermill, "execute_notebook", execute)
    monkeypatch.setattr(course, "check", lambda *_: None)
    results = course.run(notebooks, tmp_path / "out", jobs=1, seed=0)
    assert [result.error and result.error.splitlines() for result in results] == [
        ["writing 00_large.ipynb", "OSError: [Errno 28] No space left on device"], None, None, None,
    ]  # fmt: skip
    index = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert all(name in index for name in ("00_large", "02_odd_?.html", "03_small", "No space left on device"))
    monkeypatch.setattr(Path, "write_text", full)
    results = course.run(notebooks[1:], tmp_path / "out", jobs=1, seed=0)
    assert [bool(result.error) for result in results] == [True, False, False]
    assert "index.html could not be written: [Errno 28]" in capsys.readouterr().out
