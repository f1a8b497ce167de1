"""What acts when torch is imported leaves the import as it was."""

from __future__ import annotations

import sys

import pytest

from gradscope.torch_import import when_torch_is_imported


@pytest.fixture
def small_torch(tmp_path, monkeypatch):
    """A module that is called torch."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "torch"]:
        monkeypatch.delitem(sys.modules, name)
    folder = tmp_path / "torch"
    folder.mkdir()
    (folder / "__init__.py").write_text("import torch.part\nready = True")
    (folder / "part.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_acts_once_when_torch_is_complete(small_torch):
    seen = []
    before = list(sys.meta_path)
    with when_torch_is_imported(lambda: seen.append(sys.modules["torch"].ready)):
        assert seen == []
        import torch
        import torch.part
    assert seen == [True]
    assert sys.meta_path == before
    assert torch.__spec__.loader is torch.__loader__
    assert type(torch.__loader__).__name__ == "SourceFileLoader"


def test_acts_at_once_if_torch_is_there(small_torch):
    import torch  # noqa: F401

    seen = []
    with when_torch_is_imported(lambda: seen.append(1)):
        assert seen == [1]


def test_does_nothing_without_torch(small_torch):
    before = list(sys.meta_path)
    with when_torch_is_imported(lambda: pytest.fail("torch was not imported")):
        pass
    assert sys.meta_path == before


def test_no_torch_at_all(monkeypatch):
    """The script gets the ImportError it would get without us."""
    monkeypatch.setattr("gradscope.torch_import.find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    with when_torch_is_imported(lambda: pytest.fail("there is none")):
        from gradscope.torch_import import _TorchFinder

        finder = next(f for f in sys.meta_path if isinstance(f, _TorchFinder))
        assert finder.find_spec("numpy", None) is None
        assert finder.find_spec("torch", None) is None
