import torch
from torch import nn
from fixed_whiten import GroupWhitening


def build(kind, n_in):
    if kind == "vibration":
        return nn.Sequential(nn.Linear(n_in, 16, bias=False), GroupWhitening(16), nn.Tanh(), nn.Linear(16, 8))
    if kind == "thermal":
        return nn.Sequential(nn.Linear(n_in, 12, bias=False), GroupWhitening(12), nn.Tanh(), nn.Linear(12, 8))
    raise KeyError(kind)


torch.manual_seed(5)
nets = nn.ModuleDict({"vibration": build("vibration", 10), "thermal": build("thermal", 5)})
heads = nn.ModuleDict({k: nn.Linear(8, 3) for k in nets})
opts = {
    kind: [torch.optim.AdamW(m.parameters(), lr=3e-3) for m in (nets[kind], heads[kind])]
    for kind in nets
}
skipped = 0
mixing = {"vibration": torch.randn(10, 3), "thermal": torch.randn(5, 3)}


def machine(kind, n=64):
    x = torch.randn(n, mixing[kind].shape[0])
    return x, (x @ mixing[kind]).argmax(1)


def guarded_step(opt):
    """one bad reading must not ruin a network"""
    global skipped
    grads = [p.grad for g in opt.param_groups for p in g["params"]]
    if all(torch.isfinite(g).all() for g in grads):
        opt.step()
    else:
        skipped += 1
    opt.zero_grad()


for epoch in range(10):
    report = {}
    for kind in nets:
        x, fault = machine(kind)
        loss = nn.functional.cross_entropy(heads[kind](nets[kind](x)), fault)
        loss.backward()
        for opt in opts[kind]:
            guarded_step(opt)
        report[kind] = round(loss.item(), 4)
    print(epoch, report, "skipped", skipped)
