"""Human preference of the published large model: cited context of what an autoencoder is for in the end."""

from __future__ import annotations

import pandas
import plotly.graph_objects as go

from lrcore.errors import LrcoreError
from lrcore.figures import style, words
from lrcore.figures.site_figure import SiteFigure, Words
from lrcore.results import naming
from lrcore.results.numbers import shown

HEIGHT = 220


def preference_bars(published: pandas.DataFrame) -> SiteFigure:
    """A bar per task: share of comparisons that FLUX.2 [dev] wins against open models, with the line of a draw.

    Raises:
        LrcoreError: no rows of it.
    """
    rows = published[(published["table"] == "human preference") & (published["quantity"] == "win_rate")]
    if rows.empty:
        raise LrcoreError("no rows: no published human preference")
    figure = go.Figure(
        go.Bar(
            x=rows["value"],
            y=rows["setting"],
            orientation="h",
            marker_color=naming.AES["flux2"].colour,
            text=[f"{shown(value)} %" for value in rows["value"]],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{x} %<extra></extra>",
        )
    )
    figure.add_vline(x=50, line={"dash": "dot", "width": 2})
    figure.add_annotation(x=50, y=1, yref="paper", yanchor="bottom", text="as often as not", showarrow=False)
    figure.update_layout(template=style.TEMPLATE, height=HEIGHT, margin_t=30)
    figure.update_xaxes(title="comparisons won (%)", range=[0, 100])
    figure.update_yaxes(autorange="reversed")
    values = "; ".join(f"{task} {shown(value)} %" for task, value in zip(rows["setting"], rows["value"], strict=True))
    about = Words(
        won(rows["value"].tolist()),
        "Share of human comparisons with open models that FLUX.2 [dev] won, by task; 50 % would be a draw.",
        words.published_source(),
    )
    alt = f"Share of human comparisons won by FLUX.2 [dev]: {values}."
    return SiteFigure(figure, rows, "published-preference", alt, words=about)


def won(shares: list[float]) -> str:
    """In how many of the tasks the share (per cent) is above half, in one sentence."""
    count = sum(share > 50 for share in shares)
    many = f"all {len(shares)}" if count == len(shares) > 1 else f"{count} of {len(shares)}"
    return f"People preferred FLUX.2 [dev] to open models in {many} {'task' if len(shares) == 1 else 'tasks'}"
