"""Refuses what makes a GPU's queue run dry: values read back from a device, and tensors sent from one to another."""

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

READS = ("_local_scalar_dense", "equal", "is_nonzero", "item", "masked_select", "nonzero", "unique")


class NoSync(TorchDispatchMode):
    """Such an operation inside is an AssertionError; the CPU's own tensors stand in for a device's."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.__name__.split(".")[0]
        assert not name.startswith(READS), f"{name} waits for the device"
        found = function(*args, **(kwargs or {}))
        devices = {leaf.device for leaf in tree_iter((args, kwargs or {}, found)) if hasattr(leaf, "device")}
        assert len(devices) <= 1, f"{name} moves numbers between {devices}"
        return found
