"""The renderer's modules: their own tests in node, and what becomes of them where they are joined."""

import shutil
import subprocess
from pathlib import Path

import pytest

from cl_explore.widgets.wire import MODULES, renderer, source

TESTS = Path(__file__).parents[1] / "js"
NODE = shutil.which("node")
no_node = pytest.mark.skipif(NODE is None, reason="node is not on the PATH: the JavaScript of the panels is not tested")


def node(*arguments: object, text: str = "") -> None:
    done = subprocess.run([str(NODE), *map(str, arguments)], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@no_node
def test_modules_pass_their_tests_in_node() -> None:
    node("--test", *sorted(TESTS.glob("*.test.mjs")))


@no_node
def test_joined_modules_are_one_script_and_one_module() -> None:
    node("--check", "-", text=f"(() => {{\n{renderer()}\n}})();")
    node("--input-type=module", "--check", text=f"{renderer()}\nexport default {{ render: live }};")


def test_joined_modules_import_and_export_nothing() -> None:
    assert not any(line.startswith(("import ", "export ")) for line in renderer().splitlines())
    for name in MODULES:
        assert max(map(len, source(name).splitlines())) <= 120
