def smoothness(flow, weight=2.0):
    """First order smoothness of a flow field."""
    dx = (flow[..., 1:] - flow[..., :-1]).abs().mean()
    dy = (flow[..., 1:, :] - flow[..., :-1, :]).abs().mean()
    penalty = weight * (dx + dy)
    penalty.backward(retain_graph=True)
    return penalty
