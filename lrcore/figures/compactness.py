"""The third axis beside learnability and fidelity: what a latent space costs, as the area of its point.

Two costs: the numbers that a latent holds, and the operations of the training that led to the best distance.
"""

from __future__ import annotations

import math

import pandas
import plotly.graph_objects as go

from lrcore.errors import LrcoreError
from lrcore.figures import style
from lrcore.figures.embed import SiteFigure, Switch
from lrcore.figures.tradeoff import tradeoff_axes
from lrcore.flow.compute import training_flops_per_image
from lrcore.results import findings, naming
from lrcore.results.numbers import shown
from lrcore.results.published import FOLLOWED

HEIGHT = 460
_LARGEST = 70
"""Diameter in pixels of the largest point."""
_SMALLEST = 8


def study_costs(generation: pandas.DataFrame, reconstruction: pandas.DataFrame, metric: str = "lpips_vgg") -> Switch:
    """Best distance against `metric` with the area of a point its latent's size, or its training compute.

    Rows are those of one study, of `read_generation` and `read_reconstruction`.

    Raises:
        LrcoreError: no rows, two protocols, unknown metric, or no row of it.
    """
    settings = findings.mean_over_seeds(generation)
    best = findings.best_per_ae(settings).set_index("ae")
    measured = reconstruction[reconstruction["metric"] == metric].set_index("ae")
    aes = naming.in_order(set(best.index) & set(measured.index))
    sizes = measured.loc[aes, ["resolution", "tokens", "channels_per_token"]].astype(int)
    run = generation.iloc[0]
    points = pandas.DataFrame(
        {
            "ae": aes,
            "distance": best.loc[aes, "distance"].to_numpy(),
            "fidelity": measured.loc[aes, "value"].to_numpy(),
            "compression": (3 * sizes["resolution"] ** 2 / (sizes["tokens"] * sizes["channels_per_token"])).to_numpy(),
            "latent_values": (sizes["tokens"] * sizes["channels_per_token"]).to_numpy(),
            "training_flops": [
                step * int(run["batch_size"]) * training_flops_per_image(str(run["model"]), tokens, channels)
                for step, tokens, channels in zip(
                    best.loc[aes, "step"], sizes["tokens"], sizes["channels_per_token"], strict=True
                )
            ],
        }
    )
    label = findings.label(settings)
    study = str(run["study"])
    return Switch(
        {
            "size of the latent": _draw(points, "latent_values", label, metric, f"study {study}", f"{study}-size"),
            "training compute": _draw(points, "training_flops", label, metric, f"study {study}", f"{study}-compute"),
        },
        label="Area",
    )


def published_costs(published: pandas.DataFrame, metric: str = "lpips") -> SiteFigure:
    """The published distances and `metric` with the area of a point the size of its latent.

    Raises:
        LrcoreError: no rows of one of them.
    """
    study = published[published["source"] == FOLLOWED]
    distance = study[(study["table"] == "trade-off") & (study["quantity"] == "gfid")].set_index("ae")["value"]
    fidelity = study[(study["table"] == "reconstruction") & (study["quantity"] == metric)].set_index("ae")["value"]
    sizes = study[study["table"] == "latent size"].pivot(index="ae", columns="quantity", values="value")
    aes = naming.in_order(set(distance.index) & set(fidelity.index) & set(sizes.index))
    if not aes:
        raise LrcoreError(f"no rows: no published autoencoder has a distance, {metric} and the size of its latent")
    values = sizes.loc[aes, "tokens"] * sizes.loc[aes, "channels_per_token"]
    points = pandas.DataFrame(
        {
            "ae": aes,
            "distance": distance[aes].to_numpy(),
            "fidelity": fidelity[aes].to_numpy(),
            "compression": (3 * sizes.loc[aes, "resolution"] ** 2 / values).to_numpy(),
            "latent_values": values.to_numpy(),
        }
    )
    return _draw(points, "latent_values", "gFID", metric, "ImageNet 256 (published)", "published-size")


_COSTS = {"latent_values": "numbers per latent", "training_flops": "FLOP of training"}


def _draw(points: pandas.DataFrame, cost: str, distance: str, metric: str, where: str, name: str) -> SiteFigure:
    if points.empty:
        raise LrcoreError(f"no rows: no autoencoder has both a distance and {metric}")
    look = naming.metric_style(metric)
    figure = go.Figure()
    largest = points[cost].max()
    for _, point in points.sort_values(cost, ascending=False).iterrows():
        ae = naming.ae_style(str(point["ae"]))
        diameter = max(_SMALLEST, _LARGEST * math.sqrt(point[cost] / largest))
        # small points would lie under their own name
        place = "middle center" if diameter > _LARGEST / 2 else "bottom center"
        figure.add_trace(
            go.Scatter(
                x=[point["fidelity"]],
                y=[point["distance"]],
                name=ae.label,
                mode="markers+text" if len(points) <= style.FEW else "markers",
                text=[f"<b>{ae.label}</b><br>{_told(point, cost)}"],
                textposition=place,
                marker={
                    "color": ae.colour,
                    "size": diameter,
                    "opacity": 0.55,
                    "line": {"width": 1, "color": ae.colour},
                },
                hovertemplate=f"{ae.label}<br>{distance} %{{y:.3f}}<br>{look.label} %{{x:.4f}}<br>"
                f"{_told(point, cost)}, {shown(point['compression'])} : 1<extra></extra>",
                cliponaxis=False,
            )
        )
    figure.update_layout(
        template=style.TEMPLATE,
        title=f"Area: {_COSTS[cost]}, {where}",
        height=HEIGHT,
        showlegend=False,
    )
    if len(points) > style.FEW:
        style.legend_of_many(figure, len(points))
        figure.update_layout(legend_itemsizing="constant")
    tradeoff_axes(figure, points, distance, look)
    values = "; ".join(
        f"{naming.ae_style(str(row['ae'])).label} {distance} {shown(row['distance'])}, "
        f"{look.label} {shown(row['fidelity'])}, {_told(row, cost)}"
        for _, row in points.iterrows()
    )
    return SiteFigure(figure, points, name, f"{distance} against {look.label}, area {_COSTS[cost]}, {where}. {values}.")


def _told(point: pandas.Series, cost: str) -> str:
    """A cost in words: numbers of a latent as they are, operations in peta."""
    if cost == "latent_values":
        return f"{point[cost]:,.0f} numbers"
    return f"{shown(point[cost] / 1e15)} PFLOP"
