CONFIG = {
    "seed": 19,
    "optim": {"name": "sgd", "lr": 0.5},
    "max_grad_norm": 0.0,  # 0: no clipping
    "train_steps": 6,
    "batch_size": 16,
}
