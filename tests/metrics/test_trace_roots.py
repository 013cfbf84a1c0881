"""Workers that compute traces of roots: what they give, that they are few, and that they end."""

from pathlib import Path

import numpy as np
import pytest

from lrcore.metrics.trace_roots import ONE_THREAD, TraceRoots, trace_of_root


def product(size, seed=0):
    found = np.random.default_rng(seed).standard_normal((size, size + 3))
    return found @ found.T


def running(roots):
    """The processes, all of them idle."""
    found = [roots._idle.get_nowait() for _ in range(roots._idle.qsize())]
    for worker in found:
        roots._idle.put(worker)
    return [worker.process for worker in found]


@pytest.fixture
def roots():
    found = TraceRoots(2)
    yield found
    found.close()


def test_they_compute_what_this_process_does(roots):
    sizes = [30, 0, 1, 17, 30, 5]
    found = [roots.submit(product(size, seed)) for seed, size in enumerate(sizes)]
    for seed, size in enumerate(sizes):
        by_hand = np.sqrt(np.linalg.eigvalsh(product(size, seed))).sum()
        assert found[seed].result() == pytest.approx(trace_of_root(product(size, seed)), rel=1e-12)
        assert found[seed].result() == pytest.approx(by_hand, rel=1e-12)
    assert 1 <= len(running(roots)) <= 2


def test_the_lower_half_counts_in_either_order(roots):
    whole = product(12)
    for order in "CF":
        lower = np.array(np.tril(whole), order=order)
        lower[0, 5] = 7.0
        assert roots.submit(lower).result() == pytest.approx(trace_of_root(whole.copy()), rel=1e-12)


def test_one_that_dies_is_stood_in_for(roots):
    roots.submit(product(4)).result()
    (process,) = running(roots)
    process.kill()
    process.wait()
    assert roots.submit(product(400)).result() == pytest.approx(trace_of_root(product(400)), rel=1e-12)
    assert not running(roots)
    assert roots.submit(product(4)).result() == pytest.approx(trace_of_root(product(4)), rel=1e-12)


def test_they_have_one_thread_each_and_end_with_their_pipe():
    roots = TraceRoots(1)
    roots.submit(product(4)).result()
    process = roots._idle.get_nowait().process
    environment = Path(f"/proc/{process.pid}/environ").read_text().split("\0")
    assert {f"{name}={value}" for name, value in ONE_THREAD.items()} <= {*environment}
    with process.stdin, process.stdout:
        process.stdin.close()  # as when whoever started it is killed
        assert process.wait(timeout=60) == 0
    roots.close()
