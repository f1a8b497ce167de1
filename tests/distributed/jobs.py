"""Jobs of several processes on gloo: `python jobs.py NAME WORLD FOLDER` forks the ranks and waits, but not for ever.

Each rank writes what it saw to FOLDER/rankN.json.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
import traceback
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel

import gradscope
from gradscope.session import Session

LIMIT = 150
"""Seconds after which a job is killed."""


class Heads(nn.Module):
    """Two heads on one body; `both` says whether the second is used."""

    def __init__(self):
        super().__init__()
        self.body, self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 1), nn.Linear(8, 1)

    def forward(self, x, both=True):
        hidden = self.body(x).tanh()
        return self.a(hidden) + self.b(hidden) if both else self.a(hidden)


def made(kind=Heads):
    torch.manual_seed(0)
    return kind()


def batch(rank):
    torch.manual_seed(100 + rank)
    return torch.randn(4, 8)


def train(model, rank, steps=4, factor=1.0, micro=1, lr=0.05, **forward):
    """Train, and keep per parameter the gradients of this rank alone and what the optimizer was given."""
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    given = []
    for _ in range(steps):
        optimizer.zero_grad()
        for index in range(micro):
            waits = model.no_sync() if index + 1 < micro else contextlib.nullcontext()
            with waits:
                (factor * model(batch(rank), **forward).pow(2).mean()).backward()
        given.append({n: float(p.grad.norm()) for n, p in model.named_parameters() if type(p) is nn.Parameter})
        optimizer.step()
    return given


def own_norms(rank, **forward):
    """The norms of this rank's gradient alone, by plain autograd on a copy without any wrapper."""
    model = made()
    model(batch(rank), **forward).pow(2).mean().backward()
    return {n: float(p.grad.norm()) for n, p in model.named_parameters() if p.grad is not None}


def facts(report):
    run = report.run
    names = {uid: p.owners[0].fqn if p.owners else "" for uid, p in run.parameters.items()}
    return {
        "json": report.to_dict(),
        "text": str(report),
        "names": sorted(names.values()),
        "states": {names[u]: str(s) for u, s in report.states.items()},
        "backwards": [{names[u]: n for u, n in e.norms.items()} for e in run.backward_events],
        "applied": [{names[u]: n for u, n in e.norms.items()} for e in run.step_events],
        "norms": {names[u]: t.norm_last for u, t in run.tallies.items()},
        "clears": sum(type(e).__name__ == "Clear" for e in run.events),
    }


# --- jobs ----------------------------------------------------------------------------------------------------


def ddp(rank):
    """DDP in its forms, each watched under a scope of its own."""
    told = {}
    forms = {
        "plain": {},
        "view": {"gradient_as_bucket_view": True},
        "static": {"static_graph": True},
        "static_view": {"static_graph": True, "gradient_as_bucket_view": True},
    }
    for name, options in forms.items():
        model = made()
        with gradscope.watch(net=model) as scope:
            given = train(DistributedDataParallel(model, **options), rank)
            told[name] = facts(scope.report()) | {"given": given, "own": own_norms(rank)}
    for name, view in (("unused", False), ("unused_view", True)):
        model = DistributedDataParallel(made(), find_unused_parameters=True, gradient_as_bucket_view=view)
        with gradscope.watch(net=model) as scope:
            train(model, rank, both=rank == 0)
            told[name] = facts(scope.report(ranks=True, timeout=20))
    model = DistributedDataParallel(made())
    with gradscope.watch(net=model) as scope:
        train(model, rank, micro=3)
        told["no_sync"] = facts(scope.report(ranks=True, timeout=20))
    model = DistributedDataParallel(made())
    told["explain"] = facts(gradscope.explain(step_of(model, rank), net=model))
    told["same"] = bit_identical(rank)
    return told


def step_of(model, rank):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

    def step():
        optimizer.zero_grad()
        model(batch(rank)).pow(2).mean().backward()
        optimizer.step()

    return step


def bit_identical(rank):
    """Whether watching changes the weights."""
    ended = []
    for watched in (False, True):
        model = DistributedDataParallel(made(), gradient_as_bucket_view=True)
        with gradscope.watch(net=model) if watched else contextlib.nullcontext():
            train(model, rank)
        ended.append([p.detach().clone() for p in model.parameters()])
    return all(torch.equal(a, b) for a, b in zip(*ended, strict=True))


def apart(rank):
    """Faults of which no rank alone can know, a rank that asks late, and one that never asks."""
    told = {}
    model = made()
    with gradscope.watch(net=model) as scope:
        train(model, rank)  # never wrapped: each rank trains its own
        if rank == 1:
            time.sleep(1)
        told["unwrapped"] = facts(scope.report(ranks=True, timeout=20))
    model = DistributedDataParallel(made())
    with gradscope.watch(net=model) as scope:
        train(model, rank, factor=1e4 if rank == 1 else 1.0, lr=1e-9)
        told["outlier"] = facts(scope.report(ranks=True, timeout=20))
        begun = time.monotonic()
        told["alone"] = facts(scope.report())
        if rank == 0:
            told["nobody"] = facts(scope.report(ranks=True, timeout=0.3))
        told["waited"] = time.monotonic() - begun
        if rank == 1:
            time.sleep(1)
            told["too_late"] = facts(scope.report(ranks=True, timeout=5))
    return told


def faults(rank):
    """A NaN that begins on rank 1 and is averaged into all weights; an optimizer that shards itself over the ranks."""
    told = {}
    model = DistributedDataParallel(made())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with gradscope.watch(net=model) as scope:
        for step in scope.steps(range(6)):
            x = batch(rank)
            if rank == 1 and step == 3:
                x = x * float("nan")
            optimizer.zero_grad()
            model(x).pow(2).mean().backward()
            optimizer.step()
        told["nan"] = facts(scope.report(ranks=True, timeout=20))
    model = DistributedDataParallel(made())
    optimizer = ZeroRedundancyOptimizer(model.parameters(), optimizer_class=torch.optim.Adam, lr=0.01)
    with gradscope.watch(net=model) as scope:
        for _ in scope.steps(range(5)):
            optimizer.zero_grad()
            model(batch(rank)).pow(2).mean().backward()
            optimizer.step()
        told["zero"] = facts(scope.report(ranks=True, timeout=20))
    return told


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.a = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)), nn.Linear(8, 1)

    def forward(self, x):
        return self.a(self.body(x))


def drawn(rank):
    """What is live in the graphs of a model whose blocks are sharded one by one: of a report, and of a live loss."""
    model = made(Deep)
    for part in model.body:
        fully_shard(part)
    fully_shard(model)
    graph = gradscope.explain(step_of(model, rank), net=model).run.graph
    loss = model(batch(rank)).pow(2).mean()
    return {"live": [node.live for node in graph.nodes if node.model], "words": str(gradscope.graph(loss, net=model))}


def sharded(rank):
    """FSDP2, watched before and after the parameters are replaced, against the same training in one process."""
    told = {}
    whole = made()
    optimizer = torch.optim.SGD(whole.parameters(), lr=0.05)
    for _ in range(4):
        optimizer.zero_grad()
        for other in range(dist.get_world_size()):
            (whole(batch(other)).pow(2).mean() / dist.get_world_size()).backward()
        optimizer.step()
    told["whole"] = {n: float(p.grad.norm()) for n, p in whole.named_parameters()}
    for name in ("before", "after"):
        model = made()
        scope = gradscope.watch(net=model) if name == "before" else None
        for part in (model.body, model.a, model.b):
            fully_shard(part)
        fully_shard(model)
        scope = scope or gradscope.watch(net=model)
        with scope:
            train(model, rank)
            told[name] = facts(scope.report(ranks=True, timeout=30))
            told[f"{name}_alone"] = facts(scope.report())
    model = made()
    for part in (model.body, model.a, model.b):
        fully_shard(part)
    fully_shard(model)
    told["traced"] = facts(gradscope.explain(step_of(model, rank), net=model))
    told["drawn"] = drawn(rank)
    told |= {f"clipped_{norm:g}": clipped(rank, norm) for norm in (0.5, 1e-12)}
    told |= {f"kept_{kept}": accumulated(rank, kept=kept) for kept in (True, False)}
    if dist.get_world_size() == 4:
        told["mesh"] = replicated(rank)
        told["tensor"] = tensor_parallel(rank)
    return told


def two_roots():
    """Two models that are split, one of them with a part that is split by itself; what of them is to be trained."""
    front, back = made(), nn.Linear(1, 1)
    fully_shard(front.body)
    fully_shard(front)
    fully_shard(back)
    return front, back, torch.optim.SGD([*front.parameters(), *back.parameters()], lr=0.05)


def clipped(rank, norm):
    """Watched, not traced; with the whole norm as torch says it before it clips."""
    front, back, optimizer = two_roots()
    with gradscope.watch(front=front, back=back, every=1, budget=None) as scope:
        for _ in range(4):
            optimizer.zero_grad()
            back(front(batch(rank))).pow(2).mean().backward()
            before = nn.utils.clip_grad_norm_(front.parameters(), norm).full_tensor()
            optimizer.step()
        return facts(scope.report(ranks=True, timeout=30)) | {"before": float(before)}


def accumulated(rank, *, kept):
    """Two passes a step; zeroed in place before them, or never cleared."""
    front, back, optimizer = two_roots()
    with gradscope.watch(front=front, back=back, every=1, budget=None) as scope:
        for _ in range(6):
            if not kept:
                optimizer.zero_grad(set_to_none=False)
            for _ in range(2):
                back(front(batch(rank))).pow(2).mean().backward()
            optimizer.step()
        return facts(scope.report(ranks=True, timeout=30))


def replicated(rank):
    """Shards on two ranks, each held twice."""
    model = made()
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("copies", "parts"))
    fully_shard(model, mesh=mesh)
    with gradscope.watch(net=model) as scope:
        train(model, rank)
        return facts(scope.report(ranks=True, timeout=30))


def tensor_parallel(rank):
    model = parallelize_module(made(), init_device_mesh("cpu", (4,)), {"body": ColwiseParallel()})
    model.body.register_forward_hook(lambda _m, _i, out: out)
    with gradscope.watch(net=model) as scope:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, foreach=False)
        for _ in range(3):
            optimizer.zero_grad()
            model.body(batch(0)).sum().backward()
            optimizer.step()
        return facts(scope.report(ranks=True, timeout=30))


class Stage(nn.Module):
    """One stage of two; with a bias like this nothing gets through a ReLU."""

    def __init__(self, bias=0.0):
        super().__init__()
        self.layer = nn.Linear(8, 8)
        nn.init.constant_(self.layer.bias, bias)

    def forward(self, x):
        return self.layer(x).relu()


def watching(stage, how):
    if how == "plain":
        return contextlib.nullcontext()
    return Session() if how == "traced" else gradscope.watch(stage=stage)


def pipeline(rank):
    """Two stages, watched or not, traced, and with a second one that lets nothing through."""
    from torch.distributed.pipelining import PipelineStage, ScheduleGPipe

    told, ended = {}, []
    for how in ("plain", "watched", "traced", "dead"):
        torch.manual_seed(0)
        stage = Stage(-50.0 if how == "dead" and rank == 1 else 0.0)
        pipe = PipelineStage(stage, rank, 2, torch.device("cpu"))
        schedule = ScheduleGPipe(pipe, n_microbatches=2, loss_fn=nn.MSELoss())
        optimizer = torch.optim.SGD(stage.parameters(), lr=0.05)

        def step(schedule=schedule, optimizer=optimizer):
            optimizer.zero_grad()
            if rank == 0:
                schedule.step(batch(0))
            else:
                schedule.step(target=torch.ones(4, 8))
            optimizer.step()

        with watching(stage, how) as scope:
            for _ in scope.steps(range(6)) if how == "dead" else range(6):
                step()
            if how != "plain":
                told[how] = facts(scope.report() if how == "traced" else scope.report(ranks=True, timeout=30))
        ended.append([p.detach().clone() for p in stage.parameters()])
    told["same"] = [all(torch.equal(a, b) for a, b in zip(ended[0], other, strict=True)) for other in ended[1:3]]
    return told


def killed(rank):
    """The last rank dies before the report."""
    model = DistributedDataParallel(made())
    with gradscope.watch(net=model) as scope:
        train(model, rank)
        if rank == dist.get_world_size() - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"report": facts(scope.report(ranks=True, timeout=2 if rank == 0 else 20))}


JOBS = {job.__name__: job for job in (ddp, apart, faults, sharded, pipeline, killed)}


# --- ranks ---------------------------------------------------------------------------------------------------


def rank_of(name, rank, world, folder):
    """One rank, from its fork to its end."""
    told, status = {}, 1
    try:
        # The store is a file and the network the loopback: nothing outside this machine, no port to be free.
        dist.init_process_group(
            "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world, timeout=timedelta(seconds=40)
        )
        told = JOBS[name](rank)
        status = 0
    except BaseException:  # noqa: BLE001 - told to the test
        told = {"failed": traceback.format_exc()}
    Path(folder, f"rank{rank}.json").write_text(json.dumps(told), encoding="utf-8")
    os._exit(status)  # without the group's own farewell, which waits for ranks that are gone


def main(name, world, folder):
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    ranks = []
    for rank in range(world):
        pid = os.fork()
        if pid == 0:
            rank_of(name, rank, world, folder)
        ranks.append(pid)
    end = time.monotonic() + LIMIT
    while ranks and time.monotonic() < end:
        ranks = [pid for pid in ranks if os.waitpid(pid, os.WNOHANG) == (0, 0)]
        time.sleep(0.02)
    for pid in ranks:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
