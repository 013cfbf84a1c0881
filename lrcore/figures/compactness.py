"""The third axis beside learnability and fidelity: what a latent space costs, as the area of its point.

Two costs: the numbers that a latent holds, and the operations of the training that led to the best distance.
"""

from __future__ import annotations

import math

import pandas
import plotly.graph_objects as go

from lrcore.errors import LrcoreError
from lrcore.figures import style, words
from lrcore.figures.labels import Name, apart, name_points, places
from lrcore.figures.site_figure import SiteFigure, Words
from lrcore.figures.switch import Switch
from lrcore.figures.tradeoff import shares_of_axes, tradeoff_axes
from lrcore.flow.compute import training_flops_per_image
from lrcore.results import findings, naming, numbers
from lrcore.results.numbers import shown
from lrcore.results.published import FOLLOWED
from lrcore.results.wording import compared_at

HEIGHT = 460
_LARGEST = 70
"""Diameter in pixels of the largest point."""
_SMALLEST = 8
_ALIKE = 1.02
"""Costs of training within this ratio show as discs of one size."""
OPACITY = 0.45
"""Of the points: the text in one can be read on it, whichever its colour, in the dark, too."""


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
    if points.empty:
        raise LrcoreError(f"no rows: no autoencoder has both a distance and {metric}")
    label, look = findings.label(settings), naming.metric_style(metric)
    study = str(run["study"])
    about = (
        f"{words.bare(label)} of samples {words.features(generation)}, {compared_at(settings)}; "
        f"{look.label} of reconstructions"
    )
    notes = f"{words.samples(generation)} {words.study_source(study, 'generation', 'reconstruction')}"

    def drawn(cost: str, name: str) -> SiteFigure:
        subtitle = f"{about}. Area: {_COSTS[cost]}. {words.images(generation)}."
        told = Words(finding(points, cost), subtitle, f"{_NOTES[cost]} {notes}")
        return _draw(points, cost, label, metric, f"study {study}", f"{study}-{name}", told)

    return Switch(
        {"size of the latent": drawn("latent_values", "size"), "training compute": drawn("training_flops", "compute")},
        label="Area",
    )


def published_costs(published: pandas.DataFrame, metric: str = "lpips") -> SiteFigure:
    """The published distances and `metric` with the area of a point the size of its latent.

    Raises:
        LrcoreError: no rows of one of them.
    """
    study = published[published["source"] == FOLLOWED]
    lowest = study[(study["table"] == "trade-off") & (study["quantity"] == "gfid")]
    distance = lowest.set_index("ae")["value"]
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
    look = naming.metric_style(metric)
    about = Words(
        finding(points, "latent_values"),
        f"Lowest gFID ({words.trained(lowest)}), and {look.label} of reconstructions. Area: {_COSTS['latent_values']}. "
        "ImageNet at 256 px.",
        f"{_NOTES['latent_values']} {words.published_source()}",
    )
    return _draw(points, "latent_values", "gFID", metric, "ImageNet 256 (published)", "published-size", about)


_COSTS = {"latent_values": "numbers per latent", "training_flops": "FLOP of training"}
_NOTES = {
    "latent_values": "A latent holds tokens times channels numbers.",
    "training_flops": "Operations of the training up to its lowest distance, 1 PFLOP is 10¹⁵.",
}


def finding(points: pandas.DataFrame, cost: str) -> str:
    """Who costs least and who most, in one sentence: `points` with columns ae and `cost`.

    >>> finding(pandas.DataFrame({"ae": ["sd", "rae"], "latent_values": [1000, 3000]}), "latent_values")
    'A latent of RAE holds 3 times as many numbers as one of SD'
    """
    costs = findings.by_ae(points, cost)
    low, high = words.leaders(costs), words.leaders(costs, highest=True)
    cheap, dear = words.named(low, len(costs), word="or"), words.named(high, len(costs), word="or")
    if len(costs) < 2:
        return f"What the latent space of {cheap} costs"
    times = costs[high[0]] / costs[low[0]]
    if cost == "latent_values" and times < 1.005:
        return "The latents are of one size"
    if times < _ALIKE:
        within = math.ceil(round(1000 * (times - 1), 6)) / 10
        return f"Training costs the same for {words.every(len(costs))}{f', within {within:g} %' if within else ''}"
    twice = times >= 1.5
    much = f"{shown(round(times, 1))} times as" if twice else numbers.percent(times - 1, signed=False)
    if cost == "latent_values":
        middle = f"{much} many numbers as" if twice else f"{much} more numbers than"
        return f"A latent of {dear} holds {middle} one of {cheap}"
    middle = f"{much} much for {dear} as" if twice else f"{much} more for {dear} than"
    return f"Training to the best distance costs {middle} for {cheap}"


def _draw(
    points: pandas.DataFrame, cost: str, distance: str, metric: str, where: str, name: str, about: Words
) -> SiteFigure:
    look = naming.metric_style(metric)
    figure = go.Figure()
    tradeoff_axes(figure, points, distance, look)
    # the largest first: it would hide what it lies on
    points = points.sort_values(cost, ascending=False, kind="stable", ignore_index=True)
    sizes = [max(_SMALLEST, _LARGEST * math.sqrt(value / points[cost].max())) for value in points[cost]]
    texts = [[naming.ae_style(str(point["ae"])).label, _told(point, cost)] for _, point in points.iterrows()]
    few = len(points) <= style.FEW
    for (_, point), size in zip(points.iterrows(), sizes, strict=True):
        ae = naming.ae_style(str(point["ae"]))
        figure.add_trace(
            go.Scatter(
                x=[point["fidelity"]],
                y=[point["distance"]],
                name=ae.label,
                mode="markers",
                marker={"color": ae.colour, "size": size, "opacity": OPACITY, "line": {"width": 1, "color": ae.colour}},
                hovertemplate=f"{ae.label}<br>{distance} %{{y:.3f}}<br>{look.label} %{{x:.4f}}<br>"
                f"{_told(point, cost)}, {shown(point['compression'])} : 1<extra></extra>",
                cliponaxis=False,
            )
        )
    figure.update_layout(template=style.TEMPLATE, height=HEIGHT, showlegend=False)
    if few:
        shares = shares_of_axes(figure, points)
        names = [Name(*share, text, size) for share, text, size in zip(shares, texts, sizes, strict=True)]
        chosen = places(names)
        if few := apart(names, chosen):
            name_points(figure, names, chosen)
    if not few:
        style.legend_of_many(figure, len(points))
        figure.update_layout(legend_itemsizing="constant")
    values = "; ".join(
        f"{naming.ae_style(str(row['ae'])).label} {distance} {shown(row['distance'])}, "
        f"{look.label} {shown(row['fidelity'])}, {_told(row, cost)}"
        for _, row in points.iterrows()
    )
    alt = f"{distance} against {look.label}, area {_COSTS[cost]}, {where}. {values}."
    return SiteFigure(figure, points, name, alt, words=about)


def _told(point: pandas.Series, cost: str) -> str:
    """A cost in words: numbers of a latent as they are, operations in peta."""
    if cost == "latent_values":
        return f"{point[cost]:,.0f} numbers"
    return f"{shown(point[cost] / 1e15)} PFLOP"
