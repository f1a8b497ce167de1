class BackboneFinetuning:
    """Train the head alone first, then add the backbone with its own learning rate."""

    def __init__(self, unfreeze_at_epoch=2, backbone_lr=1e-3):
        self.unfreeze_at_epoch = unfreeze_at_epoch
        self.backbone_lr = backbone_lr

    @staticmethod
    def _toggle(module, flag):
        for p in module.parameters():
            p.requires_grad = flag

    def setup(self, module):
        self._toggle(module.backbone, False)

    def on_fit_start(self, trainer, module):
        if trainer.restored is not None:
            for name in trainer.restored["extra_groups"]:
                self._add_group(trainer.optimizer, getattr(module, name))

    def on_train_epoch_start(self, trainer, module):
        if trainer.current_epoch == self.unfreeze_at_epoch:
            self._toggle(module.backbone, True)
            self._add_group(trainer.optimizer, module.backbone)

    def _add_group(self, optimizer, module):
        known = {id(p) for g in optimizer.param_groups for p in g["params"]}
        params = [p for p in module.parameters() if id(p) not in known]
        if params:
            optimizer.add_param_group({"params": params, "lr": self.backbone_lr})
