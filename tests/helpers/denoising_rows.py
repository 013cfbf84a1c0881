"""Rows of losses by training time and of a linear denoiser's loss, with known answers."""

from __future__ import annotations

import pandas

EDGES = ((0.0, 0.5), (0.5, 1.0))


def curve(t: float) -> float:
    return 2.0 - t


def latents(ae: str = "sd") -> pandas.DataFrame:
    """A straight line, which no interpolation bends, with a tenth of it as error; and a metric of another kind."""
    rows = [(ae, "gaussian_loss", k, k / 10, curve(k / 10), curve(k / 10) / 10) for k in range(11)]
    rows.append((ae, "spectrum_power", 0, 0.1, 50.0, 1.0))
    return pandas.DataFrame(rows, columns=["ae", "metric", "index", "x", "value", "standard_error"])


def losses(*runs: tuple[str, float, float, int], ae: str = "sd", repa: str = "none") -> pandas.DataFrame:
    """Rows of trainings (density, shift, loss, images a bin) at two steps, the first of which is another loss."""
    rows = [
        (ae, repa, trainp, shift, seed, step, *edges, loss + (9 if step == 10 else 0), count)
        for seed, (trainp, shift, loss, count) in enumerate(runs)
        for step in (10, 20)
        for edges in EDGES
    ]
    columns = ["ae", "repa", "trainp", "trainshift", "train_seed", "step", "t_low", "t_high"]
    return pandas.DataFrame(rows, columns=[*columns, "loss", "count"])
