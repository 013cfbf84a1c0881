"""Training state on disk: weights, averaged weights and AdamW's moments in one safetensors file for every run.

Nothing random is stored: every step's randomness is a function of (seed, step), see `lrcore.runtime.seeds`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from lrcore.errors import LrcoreError
from lrcore.flow.stacking import of_network, of_stack
from lrcore.runtime.distributed import divided, whole
from lrcore.runtime.tensor_files import checked_metadata, load_tensors, save_tensors
from lrcore.training.average import MovingAverage

_STATE = ("model.", "average.", "optimizer.")
"""How the names of the state's tensors begin."""

ModuleT = TypeVar("ModuleT", bound=nn.Module)


@dataclass
class TrainingState(Generic[ModuleT]):
    """Everything a training step reads and changes.

    `model` holds all that is trained; `average` is its exponential moving average; `step` counts the
    steps taken.
    """

    model: ModuleT
    average: MovingAverage
    optimizer: torch.optim.AdamW
    step: int = 0

    @classmethod
    def start(
        cls,
        model: ModuleT,
        learning_rate: float,
        ema_decay: float,
        divide: Callable[[ModuleT], None] = lambda model: None,
    ) -> TrainingState[ModuleT]:
        """AdamW at a constant rate without weight decay over the trainable parameters of `model`.

        `divide` may divide the weights of the model and of its average among processes, in place.
        """
        average = MovingAverage(model, ema_decay)
        average.requires_grad_(False)
        divide(model)
        divide(cast(ModuleT, average.module))
        parameters = [p for p in model.parameters() if p.requires_grad]
        # float32 moments and master weights; fused, since one pass over the parameters is enough
        optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.0, fused=True)
        return cls(model, average, optimizer)

    @property
    def averaged(self) -> ModuleT:
        """The averaged weights as a module of the same class."""
        return cast(ModuleT, self.average.module)

    def advance(self, loss: Tensor) -> None:
        """One optimiser step on `loss`, then the average; all of it is queued on the device, nothing waits for it."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.average.follow(self.model, first=self.step == 0)
        self.step += 1

    def save(
        self, paths: Sequence[Path], write: bool = True, beside: Sequence[Mapping[str, Tensor]] | None = None
    ) -> None:
        """Write the state, atomically: one file for every run of a stack (`lrcore.flow.stacking`), else a single one.

        `beside`: more tensors for each file. Where the weights are divided among processes all of them must call it,
        but one to `write`.
        """
        held = {k: whole(v) for k, v in self._tensors().items()}
        for number, path in enumerate(paths if write else ()):
            tensors = held if len(paths) == 1 else of_network(held, number)
            tensors |= beside[number] if beside else {}
            # clones, since safetensors refuses tensors that share memory
            stored = {k: v.detach().to("cpu", copy=True).contiguous() for k, v in tensors.items()}
            save_tensors(path, stored, {"step": str(self.step)})

    def restore(self, paths: Sequence[Path]) -> list[dict[str, Tensor]]:
        """Take the state from `paths`, as `save` wrote them; returns what stood beside it in each.

        Raises:
            LrcoreError: a file is damaged or of another model, or the files of a stack are not of the same step.
        """
        steps = {path: saved_step(path) for path in paths}
        if len(set(steps.values())) > 1:
            raise LrcoreError(f"checkpoints of one stack are of different steps: {steps}")
        parts = [load_tensors(path) for path in paths]
        try:
            beside = [{k: part.pop(k) for k in list(part) if not k.startswith(_STATE)} for part in parts]
            self._load(parts[0] if len(parts) == 1 else of_stack(parts))
        except (RuntimeError, KeyError) as error:
            named = ", ".join(f"'{path}'" for path in paths)
            raise LrcoreError(
                f"{named} is not a checkpoint of this model ({error}): delete it to start again"
            ) from error
        self.step = steps[paths[0]]
        return beside

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for number, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{k}": v for k, v in moments.items()}
        return tensors

    def _load(self, tensors: dict[str, Tensor]) -> None:
        for name, module in (("model.", self.model), ("average.", self.average)):
            held, stored = module.state_dict(), _under(name, tensors)
            module.load_state_dict({k: divided(v, held[k]) if k in held else v for k, v in stored.items()})
        groups = self.optimizer.state_dict()["param_groups"]
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under("optimizer.", tensors).items():
            number, _, key = name.partition(".")
            parameter = parameters[int(number)]
            moments.setdefault(int(number), {})[key] = divided(tensor, parameter) if tensor.ndim else tensor
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})


def saved_step(path: Path) -> int:
    """The step of the state in `path`, whose header alone is read and checked; 0 where there is none.

    Raises:
        LrcoreError: the file is damaged.
    """
    if not path.exists():
        return 0
    try:
        return int(checked_metadata(path)["step"])
    except (KeyError, ValueError) as error:
        raise LrcoreError(f"'{path}' is not a checkpoint ({error}): delete it to start again") from error


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
