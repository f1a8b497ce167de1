"""Discriminative fine-tuning without parameter groups: let less gradient flow through lower blocks."""


def scaler(factor):
    def hook(module, grad_input, grad_output):
        return tuple(None if g is None else g * factor for g in grad_input)
    return hook


def damp_lower_layers(blocks):
    for depth, block in enumerate(blocks):
        block.register_full_backward_hook(scaler((depth + 1) / len(blocks)))
