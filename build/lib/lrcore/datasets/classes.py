"""Classes: labels of any name, numbered from 0 as the training images have them.

A label is an integer, of any size and sign, or text; where all texts of the training set are decimal integers, they are
integers. The classes of a study are those of the training images that it takes, in ascending order: what no training
image shows no transformer learns, so no sample is drawn of it. Validation images of other classes are `NO_CLASS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lrcore.errors import LrcoreError

NO_CLASS = -1
"""The number of a class that no training image of the study has; no answer of a classifier is right there."""

RULE = "classes of the training images, ascending"
"""How classes are numbered: part of every fingerprint but CIFAR-10's."""

Name = int | str

# Python converts no longer text to an integer without being asked to; such a label is text like any other.
_INTEGER = re.compile(r"[+-]?[0-9]{1,1000}")


@dataclass(frozen=True)
class Labels:
    """The class of every image: `codes` int64 (N,), each the place of its class in `names`, which are distinct."""

    names: tuple[Name, ...]
    codes: Tensor

    @classmethod
    def of(cls, values: Sequence[Name]) -> Labels:
        """Of the name of every image's class."""
        return cls(values, torch.arange(len(values)))._merged()  # type: ignore[arg-type]

    @classmethod
    def joined(cls, parts: Iterable[Labels]) -> Labels:
        """Those of several sets, one after another."""
        names: list[Name] = []
        codes = [torch.empty(0, dtype=torch.int64)]
        for part in parts:
            codes.append(part.codes + len(names))
            names += part.names
        return cls(tuple(names), torch.cat(codes))._merged()

    @property
    def present(self) -> list[Name]:
        """The names of classes that some image has."""
        return [self.names[code] for code in self.codes.unique().tolist()]

    def as_integers(self) -> Labels:
        """With integers in the place of texts that are; "7" and "07" become one class."""
        return Labels(tuple(int(name) if is_integer(name) else name for name in self.names), self.codes)._merged()

    def in_order(self, names: Sequence[Name]) -> Labels:
        """The same labels with these names, which must include all present ones."""
        places = {name: place for place, name in enumerate(names)}
        moved = torch.tensor([places.get(name, NO_CLASS) for name in self.names], dtype=torch.int64)
        return Labels(tuple(names), moved[self.codes])

    def _merged(self) -> Labels:
        """With every name once."""
        places: dict[Name, int] = {}
        moved = [places.setdefault(name, len(places)) for name in self.names]
        return Labels(tuple(places), torch.tensor(moved, dtype=torch.int64)[self.codes])


def is_integer(name: Name) -> bool:
    """Whether a label is an integer, or decimal text of one."""
    return isinstance(name, int) or _INTEGER.fullmatch(name) is not None


def matched(train: Labels, validation: Labels, where: tuple[str, str]) -> tuple[Labels, Labels]:
    """The labels of two sets with the same names, those of the training set in ascending order.

    Raises:
        LrcoreError: classes of validation images that no training image has; `where` says what the sets are called.
    """
    if all(is_integer(name) for name in train.names):
        train, validation = train.as_integers(), validation.as_integers()
    names = sorted(train.present, key=lambda name: (isinstance(name, str), name))
    known = set(names)
    if unseen := [name for name in validation.present if name not in known]:
        shown = ", ".join([*map(_shown, unseen[:5]), *(["..."] if len(unseen) > 5 else [])])
        raise LrcoreError(f"labels of '{where[1]}' that no image of '{where[0]}' has: {shown}")
    return train.in_order(names), validation.in_order(names)


def numbered(train: Tensor, *others: Tensor) -> tuple[int, list[Tensor]]:
    """How many classes the images that are trained on have, and the labels of all sets by the number of their class.

    Args:
        train: codes of `Labels` with names in ascending order, int64 (N,), N >= 1.
        others: the same of other images, which become `NO_CLASS` where `train` has not their class.
    """
    classes = train.unique()  # ascending
    found = []
    for codes in (train, *others):
        place = torch.searchsorted(classes, codes).clamp(max=len(classes) - 1)
        found.append(torch.where(classes[place] == codes, place, NO_CLASS))
    return len(classes), found


def _shown(name: Name) -> str:
    text = repr(name) if isinstance(name, str) else str(name) if abs(name) < 10**40 else "an integer of over 40 digits"
    return text if len(text) <= 60 else f"{text[:60]}..."
