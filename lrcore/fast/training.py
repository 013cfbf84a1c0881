"""The training step of a stack over buffers that stay where they are, so that a device can replay it as one graph.

    steps = StackSteps(state, [density("ln", 1.0)], LossLog(), batch)
    steps.advance(batch, randomness(batch, 0.1, generator))
    steps.require_finite()                                          # now and then: waits for the device

What is random is drawn outside, by the generators that `lrcore.flow.objective.draw` takes, and copied in. The step
itself, `StackSteps.compute`, is everything else: times from their densities, interpolation, both passes, the losses by
time, AdamW and the moving average. It reads nothing back, and its shapes do not depend on its data. To
`lrcore.training.checkpoints.TrainingState.advance` it is equal to rounding; it leaves the same state behind.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lrcore.fast import cuda
from lrcore.fast.joined import joined, joined_layers, refresh
from lrcore.flow.objective import Batch, FlowMatching, Randomness, composed
from lrcore.flow.timesteps import Density
from lrcore.flow.transformer import compile_blocks
from lrcore.training.checkpoints import TrainingState
from lrcore.training.loop import DivergedError
from lrcore.training.loss_log import LossLog


class StackSteps:
    """Steps of `state`, a stack of as many runs as there are densities.

    Weights and their average stay in float32, where `state` has them. Matrix products take copies with the bias as a
    row of the weights (`lrcore.fast.joined`), in bfloat16 where the model is trained so, which are refreshed after each
    step.
    """

    def __init__(
        self,
        state: TrainingState[FlowMatching],
        densities: Sequence[Density],
        log: LossLog,
        batch: Batch,
        compiled: bool = False,
        graphed: bool = False,
    ) -> None:
        """`densities` of training times, one a run; `log`: what the losses are added to; `batch`: any, of the shapes,
        number formats and device of all that come; `compiled` sends blocks through torch.compile; `graphed` captures
        the step as a CUDA graph.
        """
        self.state, self.densities, self.log = state, densities, log
        low = state.model.precision == "bfloat16"
        self.shadow = joined(state.model, torch.bfloat16 if low else None)
        if compiled:
            compile_blocks(self.shadow.transformer)
        self._prepare_optimizer(graphed)
        self.leaves, self.gradients = self._leaves()
        self.weights: list[Tensor] = [*state.model.parameters()]
        self.averages: list[Tensor] = [*state.averaged.parameters()]
        tokens, device = torch.empty_like(batch.tokens), batch.tokens.device
        features = None if batch.features is None else torch.empty_like(batch.features)
        self.batch = Batch(tokens, torch.zeros_like(batch.labels), features)
        uniform, dropped = (torch.zeros(len(tokens), dtype=kind, device=device) for kind in (torch.float32, torch.bool))
        self.drawn = Randomness(uniform, torch.zeros_like(tokens), dropped)
        runs = len(densities)
        self.taken = torch.full((), state.step, dtype=torch.int64, device=device)
        self.first_bad = torch.zeros(runs, dtype=torch.int64, device=device)
        """The first step after which the loss of a run was not finite, from 1; 0 of none."""
        self.losses = torch.zeros(runs, device=device)
        """Of the last step (S,)."""
        self._fill(batch, self.drawn)
        # not `compute` itself otherwise: an object that holds its own method keeps its memory until a collection
        self._replay = cuda.captured(self.compute, self.changed) if graphed else None

    def advance(self, batch: Batch, drawn: Randomness) -> None:
        """A step on `batch`, with what was drawn for it; all of it is queued on the device."""
        self._fill(batch, drawn)
        if self._replay is None:
            self.compute()
        else:
            self._replay()
        average = self.state.average
        if self.state.step == 0:
            torch._foreach_copy_(self.averages, self.weights)
        average.n_averaged += 1  # on the CPU
        self.state.step += 1

    def require_finite(self) -> None:
        """Wait for the device and look at all losses so far.

        Raises:
            DivergedError: one was NaN or infinite; says in which step first.
        """
        steps = self.first_bad.tolist()
        broken = [run for run, step in enumerate(steps) if step]
        if broken:
            raise DivergedError(f"loss not finite at step {min(steps[run] for run in broken)}", broken)

    @property
    def changed(self) -> list[Tensor]:
        """All that a step changes and a later one reads."""
        moments = [value for kept in self.state.optimizer.state.values() for value in kept.values()]
        shadows: list[Tensor] = [layer.weight for layer in joined_layers(self.shadow)]
        counts = [self.taken, self.first_bad, *self.log.open_interval]
        return [*self.weights, *self.averages, *moments, *shadows, *counts]

    def compute(self) -> None:
        """The step on what lies in the buffers."""
        seen = composed(self.batch, self.drawn, self.densities, self.shadow.transformer.classes)
        losses = self.shadow(seen)
        of_runs = losses.objective.view(len(self.densities), -1).mean(1)
        found = torch.autograd.grad(of_runs.sum(), self.leaves)
        with torch.no_grad():
            self.log.add(seen.t, losses.velocity)
            self._spread(found)
            self.state.optimizer.step()
            torch._foreach_lerp_(self.averages, self.weights, 1 - self.state.average.decay)
            refresh(self.shadow)
            self.taken += 1
            self.losses.copy_(of_runs)
            new = (self.first_bad == 0) & ~torch.isfinite(of_runs)
            self.first_bad.copy_(torch.where(new, self.taken, self.first_bad))

    def _fill(self, batch: Batch, drawn: Randomness) -> None:
        pairs = [(self.batch.tokens, batch.tokens), (self.batch.labels, batch.labels)]
        if self.batch.features is not None and batch.features is not None:
            pairs.append((self.batch.features, batch.features))
        for buffer, value in (*pairs, *zip(self.drawn, drawn, strict=True)):
            buffer.copy_(value, non_blocking=True)

    def _prepare_optimizer(self, graphed: bool) -> None:
        """Gradients and moments in memory that stays; before the first step AdamW has none."""
        optimizer = self.state.optimizer
        for parameter in self.state.model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        for group in optimizer.param_groups:
            group["capturable"] = graphed
        if not optimizer.state:
            optimizer.step()  # without a gradient it moves nothing
            for kept in optimizer.state.values():
                kept["step"].zero_()

    def _leaves(self) -> tuple[list[nn.Parameter], list[Tensor]]:
        """What is differentiated by, and where the gradients go: the layers' first, then those that are shared."""
        layers = list(joined_layers(self.shadow))
        own = [layer.weight for layer in layers]
        ours = {id(weight) for weight in own}
        shared = [parameter for parameter in self.shadow.parameters() if id(parameter) not in ours]
        masters = [master for layer in layers for master in layer.masters]
        return [*own, *shared], [parameter.grad for parameter in (*masters, *shared) if parameter.grad is not None]

    def _spread(self, found: Sequence[Tensor]) -> None:
        """The gradients by `leaves` to those of the weights."""
        layers = list(joined_layers(self.shadow))
        parts = [part for layer, joint in zip(layers, found, strict=False) for part in layer.parts(joint)]
        torch._foreach_copy_(self.gradients, [*parts, *found[len(layers) :]])
