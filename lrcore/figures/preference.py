"""Human preference of the published large model: cited context of what an autoencoder is for in the end."""

from __future__ import annotations

import pandas
import plotly.graph_objects as go

from lrcore.errors import LrcoreError
from lrcore.figures import style
from lrcore.figures.embed import SiteFigure
from lrcore.results import naming
from lrcore.results.numbers import shown

HEIGHT = 260


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
            textposition="inside",
            insidetextanchor="end",
            hovertemplate="%{y}: %{x} %<extra></extra>",
        )
    )
    figure.add_vline(x=50, line={"dash": "dot", "width": 2})
    figure.add_annotation(x=50, y=1, yref="paper", yanchor="bottom", text="as often as not", showarrow=False)
    figure.update_layout(template=style.TEMPLATE, title="FLUX.2 [dev] preferred over open models", height=HEIGHT)
    figure.update_layout(margin_t=80)
    figure.update_xaxes(title="comparisons won (%)", range=[0, 100])
    figure.update_yaxes(autorange="reversed", ticklabelstandoff=6)
    values = "; ".join(f"{task} {shown(value)} %" for task, value in zip(rows["setting"], rows["value"], strict=True))
    return SiteFigure(
        figure, rows, "published-preference", f"Share of human comparisons won by FLUX.2 [dev]: {values}."
    )
