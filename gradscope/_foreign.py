"""Refuses to work where the unrelated PyPI distribution `gradscope` is unpacked into this package's folder.

Ours is called `gradscope-torch`, but both unpack into `site-packages/gradscope`. Which files of whom survive depends
on the order of installation, and removing either takes shared files from the other. That ends in errors nobody can
read, so it is refused at import. Looking for files costs a microsecond; asking `importlib.metadata` costs 20 ms.
"""

from __future__ import annotations

from pathlib import Path

FOREIGN_FILES = ("alerts.py", "monitor.py", "registry.py", "server.py", "storage.py")
"""Files of gradscope 0.1.0 that have no counterpart here."""


def refuse_foreign_files(folder: Path) -> None:
    """Raise ImportError if `folder` holds files of the foreign distribution."""
    found = [name for name in FOREIGN_FILES if (folder / name).exists()]
    if found:
        raise ImportError(
            f"the unrelated PyPI package 'gradscope' is mixed with gradscope-torch ({', '.join(found)} in {folder}): "
            "run `pip uninstall -y gradscope gradscope-torch`, then `pip install gradscope-torch`",
            name="gradscope",
        )
