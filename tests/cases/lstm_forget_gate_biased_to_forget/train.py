import torch
from torch import nn
from agent import Agent


def trial(n, delay):
    cue = torch.randint(0, 2, (n,))
    noise = 0.1 * torch.randn(n, delay, 2)
    return nn.functional.one_hot(cue, 2).float(), noise, cue


def main():
    torch.manual_seed(0)
    agent = Agent(delay_bias=-3.0)
    optimizer = torch.optim.RMSprop(agent.parameters(), lr=1e-3)
    for block in range(6):
        cue, noise, answer = trial(32, delay=30)
        loss = nn.functional.cross_entropy(agent(cue, noise), answer)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"block {block} loss {loss.item():.5f}")


main()
