"""Correct loops around which a script does what scripts do: load, log, plot, evaluate, save, resume."""

from __future__ import annotations

import copy
import io

import matplotlib as mpl
import numpy as np
import torch
from torch import nn
from torch.nn import functional as fn
from torch.utils.data import DataLoader, TensorDataset

from tests.healthy.parts import Watch, batch, fit, mlp


def evaluation_between_epochs(watch: Watch) -> list[float]:
    model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 3))
    watch(model=model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(4):
        model.train()
        losses += fit(model, optimizer, 3)
        model.eval()
        hits = total = 0
        with torch.no_grad():
            for _ in range(2):
                x, y = batch()
                hits += (model(x).argmax(1) == y).sum().item()
                total += len(y)
        losses.append(hits / total)
    return losses


def evaluation_in_inference_mode(watch: Watch) -> list[float]:
    encoder, head = mlp(6, 16, 8), nn.Linear(8, 3)
    watch(encoder=encoder, head=head)
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=1e-3)

    @torch.inference_mode()
    def evaluate() -> float:
        x, y = batch()
        return fn.cross_entropy(head(encoder(x)), y).item()

    losses = []
    for _ in range(4):
        losses += fit(lambda x: head(encoder(x)), optimizer, 2)
        losses.append(evaluate())
    return losses


def logging_values(watch: Watch) -> list[float]:
    encoder, head = mlp(6, 16, 8), nn.Linear(8, 3)
    watch(encoder=encoder, head=head)
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=1e-3)
    history: dict[str, list[object]] = {"loss": [], "mean": [], "norm": [], "first": [], "logits": []}
    running = 0.0
    for step in range(8):
        x, y = batch()
        code = encoder(x)
        logits = head(code)
        loss = fn.cross_entropy(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        running += loss.item()
        history["loss"].append(float(loss))
        history["mean"].append(code.mean().item())
        history["norm"].append(sum(p.grad.norm().item() ** 2 for p in encoder.parameters()) ** 0.5)
        history["first"].append(logits[0].tolist())
        history["logits"].append(logits.detach().cpu().numpy())
        print(f"step {step} loss {loss:.3f} running {running / (step + 1):.3f}", code.shape, end="\r")
    return [float(v) for v in np.asarray(history["loss"])]


def running_mean_of_losses_used_for_early_stopping(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    watch(model=model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses: list[float] = []
    for _ in range(20):
        x, y = batch()
        loss = fn.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if len(losses) > 10 and np.mean(losses[-5:]) > np.mean(losses[-10:-5]) - 1e-3:
            break
    return losses


def loader_with_workers_in_this_process(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    watch(model=model)
    x = torch.randn(64, 6)
    loader = DataLoader(
        TensorDataset(x, x[:, :3].argmax(1)), batch_size=16, shuffle=True, num_workers=0, drop_last=True
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    losses = []
    for _ in range(2):
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = fn.cross_entropy(model(inputs), targets)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


def plotting(watch: Watch) -> list[float]:
    mpl.use("agg")
    import matplotlib.pyplot as plt

    encoder, decoder = mlp(6, 16, 2), mlp(2, 16, 6)
    watch(encoder=encoder, decoder=decoder)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    losses = []
    for _ in range(6):
        x = torch.randn(16, 6)
        code = encoder(x)
        loss = fn.mse_loss(decoder(code), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    figure, axes = plt.subplots(1, 2)
    points = code.detach().numpy()
    axes[0].plot(losses)
    axes[1].scatter(points[:, 0], points[:, 1], c=x[:, 0].numpy())
    figure.savefig(io.BytesIO())
    plt.close(figure)
    return losses


def saved_and_loaded_in_mid_run(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    watch(model=model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = fit(model, optimizer, 4)
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": 4}, file)
    losses += fit(model, optimizer, 2)
    file.seek(0)
    state = torch.load(file)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return losses + fit(model, optimizer, 5)


def resumed(watch: Watch) -> list[float]:
    def build() -> tuple[nn.Module, torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        model = mlp(6, 16, 3)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        return model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.9)

    model, optimizer, scheduler = build()
    losses = fit(model, optimizer, 4)
    file = io.BytesIO()
    torch.save([model.state_dict(), optimizer.state_dict(), scheduler.state_dict()], file)
    file.seek(0)
    model, optimizer, scheduler = build()
    watch(model=model)
    for thing, state in zip((model, optimizer, scheduler), torch.load(file), strict=True):
        thing.load_state_dict(state)
    for _ in range(6):
        losses += fit(model, optimizer, 1)
        scheduler.step()
    return losses


def moved_to_another_precision_before_training(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    model.to(torch.float64)
    watch(model=model)
    losses = fit(lambda x: model(x.double()), torch.optim.Adam(model.parameters(), lr=1e-3))
    exported = copy.deepcopy(model).half().eval()
    assert next(exported.parameters()).dtype == torch.float16
    return losses


def pretrained_embeddings_loaded(watch: Watch) -> list[float]:
    vectors = torch.randn(20, 8)
    embed, head = nn.Embedding.from_pretrained(vectors, freeze=False, padding_idx=0), nn.Linear(8, 2)
    watch(embed=embed, head=head)
    optimizer = torch.optim.Adam([*embed.parameters(), *head.parameters()], lr=1e-3)
    losses = []
    for _ in range(7):
        tokens = torch.randint(0, 20, (8, 5))
        loss = fn.cross_entropy(head(embed(tokens).mean(1)), torch.randint(0, 2, (8,)), weight=torch.tensor([0.3, 0.7]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def cross_validation(watch: Watch) -> list[float]:
    x = torch.randn(48, 6)
    y = x[:, :3].argmax(1)
    losses = []
    for fold in range(3):
        model = mlp(6, 8, 3)
        watch(model=model)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        keep = torch.arange(48) % 3 != fold
        for _ in range(5):
            optimizer.zero_grad()
            loss = fn.cross_entropy(model(x[keep]), y[keep])
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            losses.append((model(x[~keep]).argmax(1) == y[~keep]).float().mean().item())
    return losses


def learning_rate_search(watch: Watch) -> list[float]:
    model = mlp(6, 16, 3)
    watch(model=model)
    start = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
    losses = []
    for _ in range(10):
        losses += fit(model, optimizer, 1)
        for group in optimizer.param_groups:
            group["lr"] *= 3
    model.load_state_dict(start)
    return losses + fit(model, torch.optim.SGD(model.parameters(), lr=0.1), 6)
