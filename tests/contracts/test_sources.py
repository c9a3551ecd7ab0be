# SPDX-License-Identifier: Apache-2.0
"""Files stay small, say what they are, and carry their licence."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts import sources

MOST_LINES, MOST_FUNCTION_LINES = 400, 50
SPDX = "SPDX-License-Identifier: Apache-2.0"
NAMELESS = {"utils.py", "util.py", "helpers.py", "helper.py", "common.py", "misc.py"}


def test_no_file_is_longer_than_a_person_reads_at_once() -> None:
    long = {
        str(path): n for path in sources.python() if (n := len(sources.text(path).splitlines())) > MOST_LINES
    }
    assert long == {}


def test_no_function_is_longer_than_a_screen() -> None:
    long = {
        f"{path}:{function.name}": length
        for path in sources.python(shipped=True)
        for function in _functions(path)
        if (length := (function.end_lineno or 0) - function.lineno + 1) > MOST_FUNCTION_LINES
    }
    assert long == {}


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert [str(path) for path in sources.files(".py") if path.name in NAMELESS] == []


@pytest.mark.parametrize(
    ("suffixes", "most"), [((".py",), 1), ((".sh", ".css", ".js", ".lua"), 3)], ids=["python", "others"]
)
def test_every_file_carries_its_licence(suffixes: tuple[str, ...], most: int) -> None:
    ours = [path for path in sources.files(*suffixes) if "vendor" not in path.parts]
    without = [
        str(path)
        for path in ours
        # `manage.py` begins with the line that finds its interpreter.
        if not any(
            SPDX in line for line in sources.text(path).splitlines()[: most + (path.name == "manage.py")]
        )
    ]
    assert without == []


def test_every_module_says_in_a_line_what_it_is_for() -> None:
    silent = [
        str(path)
        for path in sources.python()
        if not (ast.get_docstring(ast.parse(sources.text(path))) or "").strip()
    ]
    assert silent == []


def test_every_public_function_and_class_of_shipped_code_says_its_promise() -> None:
    silent = [
        f"{path}:{node.lineno} {node.name}"
        for path in sources.python(shipped=True)
        for node in ast.parse(sources.text(path)).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert silent == []


def test_nothing_swallows_every_exception_in_silence() -> None:
    silent = [
        f"{path}:{node.lineno}"
        for path in sources.python(shipped=True)
        for node in ast.walk(ast.parse(sources.text(path)))
        if isinstance(node, ast.ExceptHandler)
        and (
            node.type is None
            or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"})
        )
        and all(isinstance(line, ast.Pass) for line in node.body)
    ]
    assert silent == []


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(sources.text(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
