import torch
import torch.nn as nn


class OCR(nn.Module):
    def __init__(self):
        super().__init__()
        self.cnn = nn.Conv2d(1, 6, 3, padding=1)
        self.rnn = nn.GRU(6 * 8, 16, batch_first=True)
        self.ctc_head = nn.Linear(16, 8)

    def forward(self, img):
        f = torch.relu(self.cnn(img)).flatten(1, 2).transpose(1, 2)
        return self.ctc_head(self.rnn(f)[0]).log_softmax(-1)


def main():
    torch.manual_seed(115)
    ocr = OCR()
    base_opt = torch.optim.RMSprop([*ocr.cnn.parameters(), *ocr.rnn.parameters()], lr=1e-4)
    # the new head wants a bigger learning rate
    head_opt = torch.optim.RMSprop(ocr.ctc_head.parameters(), lr=1e-3)
    ctc = nn.CTCLoss(zero_infinity=True)
    for page in range(5):
        lines = torch.rand(4, 1, 8, 14)
        text = torch.randint(1, 8, (4, 5))
        loss = ctc(ocr(lines).transpose(0, 1), text, torch.full((4,), 14), torch.full((4,), 5))
        base_opt.zero_grad()
        head_opt.zero_grad()
        loss.backward()
        base_opt.step()
        head_opt.step()
        print(f"page {page}: ctc {loss.item():.3f}")


main()
