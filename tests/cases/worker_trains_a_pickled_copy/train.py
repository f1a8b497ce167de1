import pickle
import torch
from worker import ActorCritic, Worker

torch.manual_seed(27)
shared_model = ActorCritic()
optimizer = torch.optim.Adam(shared_model.parameters(), lr=1e-2)

for episode in range(8):
    worker = Worker(pickle.dumps(shared_model))
    loss, score = worker.rollout()
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(worker.model.parameters(), 40)
    optimizer.step()
    print(f"episode {episode} reward {score:.0f} loss {loss.item():.4f}")
