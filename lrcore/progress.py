"""One progress bar for a whole study, with the time left."""

from __future__ import annotations

import sys

from tqdm import tqdm


class Progress:
    """Counts training steps over all units of a study; on a terminal a bar, elsewhere a line now and then."""

    def __init__(self, total: int) -> None:
        live = sys.stderr.isatty()
        self.bar = tqdm(
            total=total,
            unit="step",
            smoothing=0.05,
            mininterval=0.2 if live else 15.0,
            dynamic_ncols=live,
            file=sys.stderr,
            bar_format="{percentage:3.0f}% [{elapsed}<{remaining}] {n_fmt}/{total_fmt} steps {desc}",
        )

    def unit(self, what: str) -> None:
        """Name what is being worked on."""
        self.bar.set_description_str(what, refresh=False)

    def advance(self, steps: int) -> None:
        """Count steps."""
        self.bar.update(steps)

    def close(self) -> None:
        """End the bar's line."""
        self.bar.close()
