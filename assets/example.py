import torch

import gradscope
from gradscope.demo import load_digits

torch.manual_seed(0)
images, labels = load_digits()
encoder, classifier = torch.nn.Linear(64, 16), torch.nn.Linear(16, 10)
optimizer = torch.optim.Adam([*encoder.parameters(), *classifier.parameters()])
scope = gradscope.watch(encoder=encoder, classifier=classifier)  # your models, under your names
for batch in scope.steps(torch.arange(1280).split(128)):  # your loop, as it is
    code = encoder(images[batch].flatten(1)).detach()
    loss = torch.nn.functional.cross_entropy(classifier(code), labels[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(gradscope.report())
