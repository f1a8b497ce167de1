import torch
import torch.nn.functional as F
from layers import Decoder, Encoder

torch.manual_seed(47)
VOCAB, DIM = 20, 16
encoder = Encoder(VOCAB, DIM)
first_decoder, second_decoder = Decoder(VOCAB, DIM), Decoder(VOCAB, DIM, two_sources=True)
draft_embedding = torch.nn.Embedding.from_pretrained(torch.randn(VOCAB, DIM))
optimizer = torch.optim.Adam([p for m in (encoder, first_decoder, second_decoder) for p in m.parameters()], lr=3e-3)


def nll(logits, gold):
    return F.cross_entropy(logits.flatten(0, 1), gold.flatten())


for step in range(6):
    src = torch.randint(1, VOCAB, (12, 7))
    tgt = src.flip(1)
    inp = F.pad(tgt[:, :-1], (1, 0))
    memory = encoder(src)
    first_logits = first_decoder(inp, memory)
    draft = first_logits.argmax(dim=-1)
    with torch.no_grad():
        draft_memory = draft_embedding(draft)
    second_logits = second_decoder(inp, memory, draft_memory)
    first_loss, second_loss = nll(first_logits, tgt), nll(second_logits, tgt)
    optimizer.zero_grad()
    first_loss.backward(retain_graph=True)
    second_loss.backward()
    optimizer.step()
    print(step, round(first_loss.item(), 4), round(second_loss.item(), 4))
