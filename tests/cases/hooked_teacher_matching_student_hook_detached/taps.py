class FeatureTap:
    """Remembers what one layer put out in the last forward."""

    def __init__(self, net, layer):
        self.value = None
        modules = dict(net.named_modules())
        self.handle = modules[layer].register_forward_hook(self._store)

    def _store(self, module, inputs, output):
        self.value = output.detach()

    def close(self):
        self.handle.remove()
