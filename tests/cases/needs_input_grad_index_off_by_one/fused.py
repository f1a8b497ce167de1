import torch


class FusedLinearGelu(torch.autograd.Function):
    """Linear layer and (sigmoid) GELU in one node."""

    @staticmethod
    def forward(ctx, x, weight, bias, slope=1.702):
        pre = x @ weight.t() + bias
        gate = torch.sigmoid(slope * pre)
        ctx.save_for_backward(x, weight, pre, gate)
        ctx.slope = slope
        return pre * gate

    @staticmethod
    def backward(ctx, grad):
        x, weight, pre, gate = ctx.saved_tensors
        g = grad * (gate + ctx.slope * pre * gate * (1 - gate))
        need = (*ctx.needs_input_grad, False)
        grad_x = g @ weight if need[0] else None
        grad_w = g.t() @ x if need[1] else None
        grad_b = g.sum(0) if need[3] else None
        return grad_x, grad_w, grad_b, None
