"""The laws of the code base: which layer may import which, what stays light, how long a file may be."""

from __future__ import annotations

import ast
import importlib.metadata
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import gradscope

PACKAGE = Path(gradscope.__file__).parent
ROOT = PACKAGE.parent
FILES = sorted(
    path for path in PACKAGE.rglob("*.py") if not (path.is_relative_to(PACKAGE / "demo") and path.parent.name != "demo")
)

LAYERS = {
    "errors": 0,
    "_version": 0,
    "_foreign": 0,
    "config": 1,
    "records": 0,
    "tallies": 1,
    "torch_import": 0,
    "runfile": 2,
    "diagnosis": 2,
    "job": 3,
    "compare": 3,
    "render": 3,
    "report": 4,
    "capture": 5,
    "recording": 5,
    "asking": 6,
    "selection": 5,
    "scope": 7,
    "session": 7,
    "demo": 0,
    "cli": 8,
    "pytest_plugin": 8,
    "integrations": 8,
    "": 9,
    "__main__": 9,
}
"""A module may import its own layer's package and lower layers."""
CAPTURE_MAY = {"capture", "records", "errors", "tallies", "_version"}
PAPER = {
    "config", "errors", "records", "tallies", "runfile", "job", "diagnosis", "compare", "render", "report", "selection",
}  # fmt: skip
"""The half that reads saved runs on a machine without torch."""
HEAVY = {"torch", "matplotlib", "torchviz"}
LONGEST_FILE = 300
LONGEST_FUNCTION = 50


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def typing_only(tree: ast.Module) -> set[ast.AST]:
    """The nodes that only a type checker sees."""
    guards = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test).endswith("TYPE_CHECKING")]
    return {node for guard in guards for statement in guard.body for node in ast.walk(statement)}


def imported_by(path: Path, *, at_import: bool = False) -> set[str]:
    """The modules a file imports at run time, in full; with `at_import` only those it imports when it is imported."""
    tree = tree_of(path)
    skipped = typing_only(tree)
    if at_import:
        functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))
        skipped |= {inner for function in functions for inner in ast.walk(function)}
    found = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            assert node.module is not None
            package = node.module == "gradscope" or (ROOT / node.module.replace(".", "/")).is_dir()
            submodules = {f"{node.module}.{alias.name}" for alias in node.names if package}
            found |= {name for name in submodules if is_module(name)} or {node.module}
    return found


def roots(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_one_way(path):
    own = layer_of(name_of(path))
    assert own in LAYERS, f"say in LAYERS where {own} stands"
    for module in imported_by(path):
        if not module.startswith("gradscope"):
            continue
        other = layer_of(module)
        if own == "report" and other == "render" and module not in imported_by(path, at_import=True):
            continue  # the report shows itself; renderers are loaded when asked for
        assert other == own or LAYERS[other] < LAYERS[own], f"{name_of(path)} imports {module}"
        if own == "capture":
            assert other in CAPTURE_MAY, f"{name_of(path)} imports {module}"


@pytest.mark.parametrize("path", [p for p in FILES if layer_of(name_of(p)) in PAPER], ids=name_of)
def test_paper_half_never_imports_torch(path):
    """Renderers may load what draws when they draw: matplotlib, and torchviz for a tensor that is alive."""
    assert not roots(imported_by(path, at_import=True)) & HEAVY
    drawing = {"matplotlib", "torchviz"} if layer_of(name_of(path)) == "render" else set()
    assert not roots(imported_by(path)) & (HEAVY - drawing)


def test_imports_have_no_cycles():
    graph = {name_of(p): {m for m in imported_by(p, at_import=True) if is_module(m)} for p in FILES}
    done: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, " -> ".join([*above[above.index(module) :], module])
        if module not in done:
            for other in sorted(graph.get(module, ())):
                # a package that gathers its own modules, and is asked for one of them, is no cycle
                if other in graph and not (module.startswith(f"{other}.")):
                    visit(other, (*above, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_prints_but_the_command_line(path):
    if layer_of(name_of(path)) in ("cli", "__main__"):
        return
    calls = [n for n in ast.walk(tree_of(path)) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    assert not [call.lineno for call in calls if call.func.id == "print"]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_and_functions_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < LONGEST_FUNCTION, f"{node.name} at line {node.lineno}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_module_says_what_it_is(path):
    assert (ast.get_docstring(tree_of(path)) or "").strip()


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout


def test_import_is_light():
    heavy = HEAVY | {"numpy", "importlib.metadata"}
    loaded = python(
        "import sys; before = set(sys.modules); import gradscope; print(*(set(sys.modules) - before))"
    ).split()
    assert not heavy & set(loaded)


def test_command_line_is_light():
    loaded = python("import sys; from gradscope.cli import main; main.build_parser(); print(*sys.modules)").split()
    assert not (HEAVY | {"numpy", "pygraphviz", "graphviz"}) & set(loaded)


def test_pytest_plugin_is_light():
    """It is imported in every test run of the user's environment."""
    loaded = python("import sys, gradscope.pytest_plugin; print(*sys.modules)").split()
    assert not (HEAVY | {"numpy"}) & set(loaded)


def test_public_names():
    assert gradscope.__all__ == sorted(gradscope.__all__)
    for name in gradscope.__all__:
        assert getattr(gradscope, name).__doc__ or name == "__version__", name
    assert set(gradscope.__all__) <= set(dir(gradscope))
    homes = {name for names in gradscope._HOMES.values() for name in names}
    assert homes - {"load_ipython_extension"} | {"__version__"} == set(gradscope.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = gradscope.nothing


def test_report_is_the_function():
    """The submodule of the same name must not put itself in its place."""
    assert python("import gradscope.report, gradscope; print(callable(gradscope.report))") == "True\n"
    assert (
        python("from gradscope.report import Report; import gradscope; print(gradscope.report.__name__)") == "report\n"
    )


def test_version_is_told_once():
    assert "dynamic" in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    try:
        installed = importlib.metadata.version("gradscope-torch")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("not installed")
    assert installed == gradscope.__version__


def test_foreign_distribution_is_refused(tmp_path):
    """The unrelated PyPI package `gradscope` unpacks into the same folder."""
    from gradscope._foreign import refuse_foreign_files

    refuse_foreign_files(tmp_path)
    (tmp_path / "monitor.py").touch()
    with pytest.raises(ImportError, match="pip uninstall -y gradscope gradscope-torch"):
        refuse_foreign_files(tmp_path)
