"""`gradscope run` on scripts that train."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

TRAIN = """
import torch
encoder = torch.nn.Linear(4, 3)
decoder = torch.nn.Linear(3, 4)
optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=0.1)
def train(steps):
    for step in range(steps):
        x = torch.ones(2, 4)
        loss = (decoder(encoder(x).detach()) - x).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print('step', step, round(loss.item(), 3) >= 0, flush=True)
"""


def write(folder, text, name="train.py"):
    (folder / name).write_text(text, encoding="utf-8")


def models(path):
    return {model["name"]: model["state"] for model in json.loads(path.read_text(encoding="utf-8"))["models"]}


def test_report_goes_to_the_standard_error_and_files(gradscope, plain, tmp_path):
    write(tmp_path, TRAIN + "train(5)\n")
    outputs = ("--json", "r.json", "--markdown", "r.md", "--html", "r.html")

    seen = gradscope("run", *outputs, "train.py")

    assert seen.returncode == 0
    assert seen.stdout == plain("train.py").stdout
    assert "encoder" in seen.stderr
    assert models(tmp_path / "r.json") == {"encoder": "none", "decoder": "flowing"}
    assert "encoder" in (tmp_path / "r.md").read_text(encoding="utf-8")
    assert "</html>" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_the_way_to_a_line_begins_in_the_script(plain, tmp_path):
    """Not in the launcher that pip made of our entry point, which is no library file either."""
    write(tmp_path, TRAIN + "train(3)\n")
    write(tmp_path, "import sys\nfrom gradscope.cli.main import main\nsys.exit(main())\n", "launcher")

    seen = plain("launcher", "run", "--quiet", "--json", "r.json", "train.py")

    assert seen.returncode == 0, seen.stderr
    (finding,) = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["findings"]
    assert [(frame["file"], frame["line"]) for frame in finding["path"]] == [("train.py", 14), ("train.py", 9)]


def test_run_file_gives_the_same_report_later(gradscope, tmp_path):
    write(tmp_path, TRAIN + "train(3)\n")

    gradscope("run", "--quiet", "--out", "run.gradscope", "--json", "now.json", "train.py")
    seen = gradscope("report", "run.gradscope", "--json", "later.json")

    assert seen.returncode == 0, seen.stderr
    assert "encoder" in seen.stdout
    now, later = (json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8")) for name in ("now", "later"))
    assert later["findings"] == now["findings"]


def test_quiet_and_json_to_the_standard_output(gradscope, tmp_path):
    write(tmp_path, TRAIN.replace("print(", "(lambda *a, **k: None)(") + "train(3)\n")

    seen = gradscope("run", "--quiet", "--json", "-", "train.py")

    assert seen.stderr == ""
    assert json.loads(seen.stdout)["steps"] == 3


def test_steps_end_the_script_cleanly(gradscope, tmp_path):
    """Finally clauses run, `except Exception` does not hold it up, the status is 0."""
    write(
        tmp_path,
        TRAIN + "try:\n    train(10 ** 9)\nexcept Exception:\n    print('caught')\nfinally:\n    print('finally')\n",
    )

    seen = gradscope("run", "--steps", "3", "--json", "r.json", "train.py")

    assert seen.returncode == 0, seen.stderr
    assert seen.stdout.splitlines()[-1] == "finally"
    assert "caught" not in seen.stdout
    assert "Traceback" not in seen.stderr
    assert [line for line in seen.stdout.splitlines() if line.startswith("step")][-1] == "step 2 True"
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["steps"] == 3


def test_a_script_that_catches_everything_is_told_that_it_caught_the_end(gradscope, tmp_path):
    loop = "for _ in range(9):\n    try:\n        train(2)\n    except:\n        print('caught')\nprint('end')\n"
    write(tmp_path, TRAIN + loop)

    seen = gradscope("run", "--steps", "3", "--json", "r.json", "train.py")

    assert (seen.returncode, seen.stdout.splitlines()[-1]) == (0, "end")
    assert seen.stderr.count("caught the StopRun") == 1
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["steps"] == 3


def test_a_folder_is_run_as_python_runs_it(plain, gradscope, tmp_path):
    (tmp_path / "pack").mkdir()
    write(tmp_path / "pack", "import sys\nprint(sys.argv, sys.path[0], __file__, repr(__package__))\n", "__main__.py")

    assert gradscope("run", "pack", "x").stdout == plain("pack", "x").stdout


def test_check_of_a_script_with_nothing_trainable_is_no_success(gradscope, tmp_path):
    write(
        tmp_path,
        "import torch\nmodel = torch.nn.Linear(2, 2).requires_grad_(False)\n"
        "try:\n    model(torch.ones(1, 2)).sum().backward()\nexcept RuntimeError:\n    pass\n",
    )
    seen = gradscope("check", "train.py")

    assert seen.returncode == 2
    assert "trained nothing" in seen.stderr


def test_check_of_a_syntax_error_says_just_that(gradscope, tmp_path):
    write(tmp_path, "x = = 1\n")
    seen = gradscope("check", "train.py")

    assert seen.returncode == 1
    assert "gradscope" not in seen.stderr
    assert "No model" not in seen.stderr


@pytest.mark.parametrize(
    ("end", "status"),
    [("raise ValueError('bad')", 1), ("import sys; sys.exit(4)", 4), ("decoder(torch.ones(7, 7))", 1)],
)
def test_report_comes_whatever_the_end(end, status, plain, gradscope, tmp_path):
    write(tmp_path, TRAIN + f"train(3)\n{end}\n")

    expected = plain("train.py")
    seen = gradscope("run", "--json", "r.json", "train.py")

    assert (seen.returncode, seen.stdout) == (status, expected.stdout)
    assert expected.returncode == status
    assert expected.stderr.splitlines()[-1:] == [] or expected.stderr.splitlines()[-1] in seen.stderr
    assert "gradscope/" not in seen.stderr.partition("Error:")[0]
    assert models(tmp_path / "r.json")["encoder"] == "none"


def test_ctrl_c_in_training(environment, tmp_path):
    write(tmp_path, TRAIN + "train(10 ** 9)\n")
    command = [sys.executable, "-m", "gradscope", "run", "--json", "r.json", "train.py"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for _ in range(5):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "KeyboardInterrupt" in errors
    assert models(tmp_path / "r.json")["encoder"] == "none"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("import torch\nprint(torch.ones(2).sum().item())", "trained nothing"),
        ("import torch\nm = torch.nn.Linear(2, 2).requires_grad_(False)\nm(torch.ones(2))", "trained nothing"),
        (
            "import torch\nm = torch.nn.Linear(2, 2)\no = torch.optim.SGD(m.parameters(), lr=1.0)\nm(torch.ones(2))",
            "never called backward()",
        ),
    ],
)
def test_nothing_to_judge_is_said_in_one_line(script, said, gradscope, tmp_path):
    """`run` keeps the script's status; `check` must not call it a success."""
    write(tmp_path, script)

    seen = gradscope("run", "train.py")
    checked = gradscope("check", "train.py")

    assert seen.returncode == 0
    assert seen.stderr.startswith("gradscope: train.py ")
    assert said in seen.stderr
    assert seen.stderr.count("\n") == 1
    assert checked.returncode == 2


def test_a_script_that_lets_other_processes_train_is_told_so(gradscope, tmp_path):
    busy = "import time\nwhile time.process_time() < 1.2: pass"
    write(tmp_path, f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {busy!r}], check=True)\n")

    seen = gradscope("run", "train.py")

    assert seen.returncode == 0
    assert seen.stderr.startswith("gradscope: train.py trained nothing in its own process")
    assert seen.stderr.count("\n") == 1


def test_torch_is_imported_by_the_script(plain, gradscope, tmp_path):
    """What a script sets before it imports torch still counts."""
    write(
        tmp_path, "import os, sys\nprint('torch' in sys.modules)\nos.environ['OMP_NUM_THREADS'] = '1'\nimport torch\n"
    )
    with (tmp_path / "train.py").open("a", encoding="utf-8") as file:
        file.write("print(torch.get_num_threads(), torch.__spec__.loader is torch.__loader__)\n")

    seen = gradscope("run", "train.py", OMP_NUM_THREADS="2")

    assert seen.stdout == plain("train.py", OMP_NUM_THREADS="2").stdout == "False\n1 True\n"


def test_no_compile(gradscope, tmp_path):
    write(
        tmp_path,
        "import torch\nf = torch.compile(lambda x: x.sin(), backend='eager')\n"
        "print(f(torch.ones(1, requires_grad=True)).grad_fn.name())",
    )
    assert gradscope("run", "--no-compile", "train.py").stdout == "SinBackward0\n"


WORKERS = """
import multiprocessing, pickle, sys
import torch
from torch.utils.data import DataLoader, Dataset
class Squares(Dataset):
    def __len__(self):
        return 8
    def __getitem__(self, i):
        return torch.full((4,), float(i)), torch.tensor(float(i * i))
class Net(torch.nn.Sequential):
    pass
def main(method):
    net = Net(torch.nn.Linear(4, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-4)
    loader = DataLoader(Squares(), batch_size=2, num_workers=2, multiprocessing_context=method)
    for x, y in loader:
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(net(x)[:, 0], y).backward()
        optimizer.step()
    again = pickle.loads(pickle.dumps(net))
    torch.save(net, 'net.pt')
    print(type(again), type(torch.load('net.pt', weights_only=False)), sys.argv)
    return 5
if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_and_pickles(method, plain, gradscope, tmp_path):
    write(tmp_path, WORKERS)

    expected = plain("train.py", method)
    seen = gradscope("run", "--json", "r.json", "train.py", method)

    assert expected.returncode == 5, expected.stderr
    assert (seen.returncode, seen.stdout) == (5, expected.stdout)
    assert models(tmp_path / "r.json") == {"net": "flowing"}


def test_a_failing_report_leaves_the_status_alone(gradscope, tmp_path):
    write(tmp_path, TRAIN + "train(2)\nimport os, sys; os.rmdir('out'); sys.exit(6)\n")
    (tmp_path / "out").mkdir()

    seen = gradscope("run", "--json", "out/r.json", "train.py")

    assert seen.returncode == 6
    assert "the report failed" in seen.stderr


WARNING = """
import torch
from torch import nn
net = nn.Linear(3, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for step in range(3):
    out = net(torch.ones(4, 3))
    loss = nn.functional.mse_loss(out, torch.zeros(4))  # python, warns of the line that called it
    loss = loss + nn.MSELoss()(out, torch.zeros(4))  # the same words from a line of torch
    out.grad, torch.ones(3, 4, 2).T  # a property, and C++
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_warnings_name_the_line_they_would_name_without_us(gradscope, plain, tmp_path):
    write(tmp_path, WARNING)

    expected = plain("train.py").stderr
    seen = gradscope("run", "--quiet", "train.py").stderr

    assert expected.count("Warning: ") == 4
    assert seen == expected


def test_a_traceback_shows_no_borrowed_frame(gradscope, tmp_path):
    write(tmp_path, WARNING + "nn.functional.linear(torch.ones(4, 4), net.weight)\n")

    seen = gradscope("run", "--quiet", "train.py")

    assert seen.returncode == 1
    assert "RuntimeError" in seen.stderr
    assert "<gradscope>" not in seen.stderr
    assert "lineage.py" not in seen.stderr


@pytest.mark.parametrize("options", [[], ["--format", "github"]])
def test_check_fails_on_findings_that_nobody_reads(options, tmp_path, environment):
    (tmp_path / "train.py").write_text(
        "import torch\na, b = torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)\n"
        "optimizer = torch.optim.SGD([*a.parameters(), *b.parameters()], lr=0.1)\n"
        "for _ in range(3):\n    b(a(torch.ones(1, 2)).detach()).sum().backward()\n    optimizer.step()\n"
        "print('done')\n"
    )
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "gradscope", "check", *options, "train.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, stdout=write, stderr=write, check=False)
    os.close(write)
    assert done.returncode == 1
