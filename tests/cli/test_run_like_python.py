"""A script under `gradscope run` behaves as under plain python."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPTS = {
    "argv": "import sys; print(sys.argv, __name__)",
    "main namespace": (
        "print(sorted(k for k in globals() if k.startswith('__')), __file__, __package__, __spec__, __doc__)"
    ),
    "path": "import sys; print([p for p in sys.path if 'gradscope' not in p])",
    "builtins": "print(type(__builtins__).__name__, __builtins__.len([1]))",
    "loader": "print(type(__loader__).__name__, __loader__.name, __loader__.get_source('__main__')[:5])",
    "module": "import sys; x = 3; print(sys.modules['__main__'].x, sys.modules['__main__'].__dict__ is globals())",
    "sibling": "import sibling; print(sibling.x)",
    "no future leaks in": "def f(x: 1 + 1): ...\nprint(f.__annotations__)",
    "stdin": "print(input() + input())",
    "prints bytes": "import sys; sys.stdout.buffer.write(b'\\xff\\n')",
    "encoding": "# -*- coding: latin-1 -*-\nprint('\u00e9'.encode('utf-8'))",
    "source": "import inspect\ndef f():\n    return 1\nprint(inspect.getsource(f))",
    "pickle": "import pickle\nclass A: pass\nprint(pickle.loads(pickle.dumps(A())).__class__.__module__)",
    "pickle at exit": "import atexit, pickle\nclass A: pass\natexit.register(lambda: print(len(pickle.dumps(A()))))",
    "atexit": "import atexit; atexit.register(print, 'at exit'); print('body')",
    "thread outlives main": (
        "import threading, time\ndef f():\n    time.sleep(0.3)\n    print('thread')\nthreading.Thread(target=f).start()"
    ),
    "idle pool": (
        "from concurrent.futures import ThreadPoolExecutor as P\npool = P(1)\nprint(pool.submit(int, '3').result())"
    ),
    "busy pool": (
        "import time\nfrom concurrent.futures import ThreadPoolExecutor as P\npool = P(1)\n"
        "pool.submit(time.sleep, 0.1)\npool.submit(print, 'still done')"
    ),
    "exit none": "import sys; sys.exit()",
    "exit 3": "import sys; sys.exit(3)",
    "exit 259": "import sys; sys.exit(259)",
    "exit true": "import sys; sys.exit(True)",
    "exit text": "import sys; sys.exit('wrong')",
    "exit from a function": "def f():\n    raise SystemExit(7)\nf()",
    "raise": "def f():\n    raise ValueError('bad')\nf()",
    "raise from": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise RuntimeError('x') from e",
    "raise in context": "try:\n    1 / 0\nexcept ZeroDivisionError:\n    {}['x']",
    "import error": "import nothing_of_that_name",
    "own base exception": "class Stop(BaseException): ...\nraise Stop('s')",
    "interrupt": "raise KeyboardInterrupt",
    "own excepthook": "import sys; sys.excepthook = lambda *e: print('hook', e[0].__name__, file=sys.stderr); 1 / 0",
    "syntax error": "x = (1\n",
    "closes stdout": "import sys; sys.stdout.close()",
    "replaces stderr": "import io, sys; sys.stderr = io.StringIO(); print('out')",
    "changes folder": "import os; os.chdir('/'); print(os.getcwd(), __file__)",
    "forks": "import os\npid = os.fork()\nif pid:\n    os.waitpid(pid, 0)\nprint('child' if not pid else 'parent')",
    "reads the environment": "import os; print(os.environ.get('TORCH_COMPILE_DISABLE'))",
}
SPAWN = """
import multiprocessing, sys
def double(x):
    return 2 * x, sys.argv
if __name__ == '__main__':
    with multiprocessing.get_context('{}').Pool(1) as pool:
        print(pool.map(double, [1, 2]))
"""
SCRIPTS |= {f"pool by {method}": SPAWN.format(method) for method in ("fork", "spawn", "forkserver")}

INTERRUPT_STATUS = {-signal.SIGINT: 130}


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name, plain, gradscope, tmp_path):
    folder = tmp_path / "sub"
    folder.mkdir()
    (folder / "sibling.py").write_text("x = 5")
    (folder / "train.py").write_text(SCRIPTS[name], encoding="latin-1" if name == "encoding" else "utf-8")

    expected = plain("sub/train.py", "--json", "x", "--", "-m", stdin="a\nb\n")
    seen = gradscope("run", "sub/train.py", "--json", "x", "--", "-m", stdin="a\nb\n")

    assert seen.stdout == expected.stdout
    assert seen.returncode == INTERRUPT_STATUS.get(expected.returncode, expected.returncode)
    assert seen.stderr.startswith(expected.stderr)
    assert seen.stderr.count("never imported torch") == 1


def test_module(plain, gradscope, tmp_path):
    """`-m` runs a module of a package, with its relative imports and its own spec."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("print('package')")
    (package / "__main__.py").write_text("from . import train")
    (package / "other.py").write_text("x = 7")
    (package / "train.py").write_text(
        "import sys\nfrom .other import x\n"
        "print(x, __name__, __package__, __spec__.name if __spec__ else None, sys.argv)\n"
        "print([p for p in sys.path if 'gradscope' not in p], __file__)"
    )
    for module in ("package.train", "package"):
        expected = plain("-m", module, "--lr", "1")
        seen = gradscope("run", "-m", module, "--lr", "1")

        assert expected.returncode == 0, expected.stderr
        assert (seen.stdout, seen.returncode) == (expected.stdout, 0)


@pytest.mark.parametrize("name", ["./x.py", ".//x.py", "sub/../x.py", "sub/./y.py", "sub", "./sub/", "sub/."])
def test_the_file_is_called_as_it_was_typed(name, plain, gradscope, tmp_path):
    (tmp_path / "sub").mkdir()
    for file in ("x.py", "sub/y.py", "sub/__main__.py"):
        (tmp_path / file).write_text(
            "import sys; print(__file__, sys.argv, sys.path[0], sys._getframe().f_code.co_filename)"
        )

    assert gradscope("run", name).stdout == plain(name).stdout != ""


@pytest.mark.parametrize("flag", ["-P", "-I"])
def test_safe_path(flag, plain, tmp_path):
    """With `-P` python puts no folder of the script on the path; nor do we."""
    (tmp_path / "train.py").write_text("import sys; print(sys.flags.safe_path, sys.path)")
    starter = (
        f"import sys; sys.path.append({str(Path(__file__).parents[2])!r}); from gradscope.cli.main import main; main()"
    )

    seen = plain(flag, "-c", starter, "run", "train.py")

    assert seen.stdout.startswith("True")
    assert str(tmp_path) not in seen.stdout


def test_traceback_holds_no_frame_of_ours(gradscope, tmp_path):
    (tmp_path / "train.py").write_text("def f():\n    raise ValueError('bad')\nf()")

    seen = gradscope("run", "train.py")

    assert "runner.py" not in seen.stderr
    assert "importlib" not in seen.stderr


def test_forked_child_that_returns_does_not_report(gradscope, tmp_path):
    (tmp_path / "train.py").write_text(SCRIPTS["forks"])

    assert gradscope("run", "train.py").stderr.count("gradscope:") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c(environment, tmp_path):
    """Ctrl-C ends the script with its traceback, our report and status 130."""
    (tmp_path / "train.py").write_text("import time\nprint('ready', flush=True)\ntime.sleep(60)")
    command = [sys.executable, "-m", "gradscope", "run", "train.py"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)

    assert process.returncode == 130
    assert errors.startswith("Traceback")
    assert "KeyboardInterrupt" in errors
    assert "never imported torch" in errors


def test_only_the_first_rank_reports(gradscope, tmp_path):
    (tmp_path / "train.py").write_text("print('x')")

    assert gradscope("run", "train.py", RANK="1").stderr == ""
    assert "torch" in gradscope("run", "train.py", RANK="0").stderr
