"""What is left to do of a study."""

from __future__ import annotations

from dataclasses import dataclass, fields

from lrcore.spec.study import Cell
from lrcore.stages import choice


@dataclass(frozen=True)
class Todo:
    """Autoencoders to train, to measure reconstruction, latents and anchors of, cells to train, what is to be done at
    the best settings, and autoencoders to show samples of, in this order."""

    train: list[str]
    reconstruct: list[str]
    diagnose: list[str]
    anchor: list[str]
    generate: list[Cell]
    choose: list[choice.Task]
    show: list[str]

    @property
    def empty(self) -> bool:
        """Whether all is done."""
        return not any(getattr(self, field.name) for field in fields(self))

    @property
    def measured(self) -> list[str]:
        """Autoencoders that are used beyond their training."""
        used = [
            *self.reconstruct,
            *self.diagnose,
            *self.anchor,
            *(cell.ae for cell in self.generate),
            *(task.ae for task in self.choose),
            *self.show,
        ]
        return list(dict.fromkeys(used))

    @property
    def repas(self) -> set[str]:
        """The kinds of REPA of what is left to train."""
        return {*(cell.repa for cell in self.generate), *(task.repa for task in self.choose)}

    def __str__(self) -> str:
        return (
            f"{len(self.train)} autoencoders to train, {len(self.reconstruct)} reconstructions, "
            f"{len(self.diagnose)} latent diagnostics, {len(self.anchor)} anchors, {len(self.generate)} trainings"
            + (f", {len(self.choose)} at the best settings" if self.choose else "")
            + (f", samples of {len(self.show)} autoencoders to show" if self.show else "")
        )
