"""What acts when torch is imported leaves the import as it was.

Each test is a process of its own with a small stand-in: taking the real torch out of `sys.modules` would harm the
tests that follow.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAD = """
import sys
from gradscope.torch_import import when_torch_is_imported
seen, before = [], list(sys.meta_path)
"""
SCRIPTS = {
    "acts once when torch is complete": """
with when_torch_is_imported(lambda: seen.append(sys.modules["torch"].ready)):
    assert seen == []
    import torch
    import torch.part
assert seen == [True]
assert torch.__spec__.loader is torch.__loader__
assert type(torch.__loader__).__name__ == "SourceFileLoader"
""",
    "acts at once if torch is there": """
import torch
with when_torch_is_imported(lambda: seen.append(1)):
    assert seen == [1]
""",
    "does nothing without an import of torch": """
with when_torch_is_imported(lambda: seen.append(1)):
    import json
assert seen == []
""",
    "no torch at all: the ImportError of plain python": """
sys.path.remove(sys.argv[1])
sys.path_hooks.clear()
try:
    with when_torch_is_imported(lambda: seen.append(1)):
        sys.path[:] = []
        import torch
except ModuleNotFoundError as error:
    assert error.name == "torch"
else:
    raise AssertionError
assert seen == []
""",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_importing(name, tmp_path):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("import torch.part\nready = True")
    (tmp_path / "torch" / "part.py").write_text("")
    code = HEAD + SCRIPTS[name] + "assert sys.meta_path == before\n"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}

    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
