"""A pytest plugin: a line now and then of how far the tests are, which files are slow, and last the names of failures.

With pytest-xdist and without. Instead of pytest's letter for every test; with `-v` pytest's own lines stay as they are.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

import pytest

EVERY = 20.0
"""Seconds between two lines, at least."""
SLOW = 20.0
"""Seconds from which on a file is named."""


@pytest.hookimpl(trylast=True)  # after pytest's own printer
def pytest_configure(config: pytest.Config) -> None:
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None and not hasattr(config, "workerinput"):  # a worker of pytest-xdist prints nothing
        config.pluginmanager.register(ProgressLines(terminal), "progress_lines_printer")


class ProgressLines:
    """Counts by the reports of tests, which the main process gets with workers and without."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self.terminal = terminal
        self.quiet = terminal.config.option.verbose <= 0
        self.began = self.told = time.monotonic()
        self.left: Counter[str] = Counter()
        self.files = 0
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.failed: dict[str, None] = {}  # a set that keeps its order

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._expect(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: object, ids: list[str]) -> None:
        if not self.files:  # every worker collects the same
            self._expect(ids)

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(
        self, report: pytest.CollectReport | pytest.TestReport
    ) -> Iterator[tuple[str, str, object]]:
        category, letter, word = yield
        return category, "" if self.quiet else letter, word

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed[report.nodeid] = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = _file(report.nodeid)
        self.seconds[name] += report.duration
        if report.failed and report.nodeid not in self.failed:
            self.failed[report.nodeid] = None
            self._say(f"FAILED {report.nodeid}")
        if report.when in ("setup", "call"):
            return
        self.left[name] -= 1  # after its teardown, or because its worker crashed
        if self.left[name] == 0 and self.seconds[name] >= SLOW:
            self._say(f"{name} took {self.seconds[name]:.0f} s")
        if time.monotonic() - self.told >= EVERY:
            self.told = time.monotonic()
            done = sum(count <= 0 for count in self.left.values())
            self._say(f"{done} of {self.files} files, {len(self.failed)} failed, {_clock(self.told - self.began)}")

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        for name in self.failed:
            self.terminal.write_line(f"FAILED {name}", red=True)

    def _expect(self, ids: Iterable[str]) -> None:
        self.left = Counter(map(_file, ids))
        self.files = len(self.left)

    def _say(self, line: str) -> None:
        if self.quiet:
            self.terminal.ensure_newline()
            self.terminal.write_line(line)
            self.terminal.flush()


def _file(identifier: str) -> str:
    return identifier.partition("::")[0]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
