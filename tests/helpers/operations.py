"""Counts the operations that torch is asked for: on a GPU at least a launch each."""

from torch.utils._python_dispatch import TorchDispatchMode

VIEWS = {
    "_unsafe_view", "alias", "as_strided", "detach", "expand", "permute", "select", "slice", "split",
    "split_with_sizes", "squeeze", "t", "transpose", "unbind", "unsqueeze", "view",
}  # fmt: skip
"""What launches nothing."""


class Operations(TorchDispatchMode):
    """`count` of those inside, views left out; one that takes a list of tensors counts once."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function.__name__.split(".")[0] not in VIEWS
        return function(*args, **(kwargs or {}))
