"""The bar: counts, and times left that sampling, resuming and bursts of a device do not spoil."""

import io
import re

import pytest

from lrcore.runtime.heartbeat import Pace
from lrcore.runtime.progress import Progress


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


def started(total, stream=None):
    clock = Clock()
    return Progress(total, io.StringIO() if stream is None else stream, clock), clock


def steps(progress, clock, count, seconds, each=1):
    for _ in range(count):
        clock.now += seconds
        progress.advance(each)


def test_steady_steps_give_the_exact_times():
    progress, clock = started(1000)
    progress.unit("a", 400)
    steps(progress, clock, 100, 0.5)
    assert progress.run_seconds() == pytest.approx(300 * 0.5)
    assert progress.study_seconds() == pytest.approx(900 * 0.5)


def test_nothing_is_told_before_anything_is_known():
    progress, clock = started(1000)
    progress.unit("a", 400)
    assert progress.run_seconds() is None and progress.study_seconds() is None
    steps(progress, clock, 50, 0.5)
    progress.unit("b")
    assert progress.run_seconds() is None and progress.study_seconds() == pytest.approx(950 * 0.5)


def test_sampling_is_spread_over_the_steps_of_the_study_and_no_part_of_the_run():
    """Four runs of 100 steps, 1 s each, with 100 s of sampling after each 50: 1 s a step alone, 3 s with all."""
    progress, clock = started(400)
    for number in range(4):
        progress.unit(f"run {number}", 100)
        for _ in range(2):
            steps(progress, clock, 50, 1.0)
            if progress.done % 100:
                assert progress.run_seconds() == pytest.approx(50)
            clock.now += 100
        if number:
            true = 300 * (3 - number)
            # beside the step that starts a run's clock
            assert progress.study_seconds() == pytest.approx(true, rel=0.02)


def test_the_time_left_does_not_jump_when_training_goes_on_after_sampling():
    progress, clock = started(400)
    progress.unit("a", 400)
    steps(progress, clock, 100, 1.0)
    clock.now += 60
    sampling = progress.study_seconds()
    steps(progress, clock, 1, 1.0)
    assert progress.study_seconds() == pytest.approx(sampling, rel=0.03)
    assert progress.run_seconds() == pytest.approx(299, rel=0.02)


def test_steps_of_an_earlier_process_make_no_pace():
    progress, clock = started(1000)
    progress.unit("a", 1000)
    clock.now += 50  # latents and features
    progress.advance(800)
    steps(progress, clock, 100, 2.0)
    assert progress.done == 900
    assert progress.run_seconds() == progress.study_seconds() == pytest.approx(200)


def test_steps_of_a_stack_count_for_every_run():
    progress, clock = started(1000)
    progress.unit("a and 3 more", 400)
    steps(progress, clock, 50, 2.0, each=4)
    assert progress.run_seconds() == pytest.approx(100)


def test_the_pace_of_long_ago_is_forgotten():
    progress, clock = started(10_000)
    progress.unit("autoencoder", 1000)
    steps(progress, clock, 1000, 0.01)
    for number in range(4):
        progress.unit(f"run {number}", 100)
        steps(progress, clock, 101, 5.0)
    assert progress.study_seconds() == pytest.approx((10_000 - 1404) * 5, rel=0.01)


def test_a_pace_sees_bursts_and_pauses_through():
    """A device that works 20 steps off at once, and one pause: the mean of the bursts, nothing of the pause."""
    pace, now = Pace(0.0, window=2.0), 0.0
    for step in range(400):
        now += 4.0 if step % 20 == 19 else 0.001
        now += 500 if step == 200 else 0
        pace.count(1, now)
    assert pace.seconds_per_step == pytest.approx(0.201, rel=0.01)


def test_without_a_terminal_there_is_a_line_now_and_then():
    stream = io.StringIO()
    progress, clock = started(1000, stream)
    progress.unit("sd-none-ln-1.00", 1000)
    steps(progress, clock, 500, 0.2)
    progress.close()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "  0% after 0 s, 0/1000 steps; left: run ?, study ?; sd-none-ln-1.00"
    assert [int(re.search(r"(\d+)/1000", line)[1]) for line in lines] == [0, 150, 300, 450]
    assert lines[-1] == " 45% after 1.5 min, 450/1000 steps; left: run 1.8 min, study 1.8 min; sd-none-ln-1.00"


def test_on_a_terminal_a_bar_says_the_same():
    stream = Terminal()
    progress, clock = started(1000, stream)
    progress.unit("sd-none-ln-1.00", 500)
    steps(progress, clock, 100, 60.0)
    progress.unit("sd-none-ln-2.95", 500)
    progress.close()
    assert "10% after 00:00, 100/1000 steps; left: run ?, study 15.0 h; sd-none-ln-2.95" in stream.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_work_without_steps_is_not_counted_in_steps(terminal):
    stream = Terminal() if terminal else io.StringIO()
    progress, _ = started(0, stream)
    progress.unit("reconstruction sd")
    progress.close()
    told = stream.getvalue()
    assert "reconstruction sd" in told and "%" not in told and "steps" not in told and "?" not in told
    if not terminal:
        assert told == "after 0 s; reconstruction sd\n"


def test_images_are_counted_within_a_unit_with_their_time_left():
    stream = io.StringIO()
    progress, clock = started(0, stream)
    progress.unit("latents of sd")
    for what in ("encoded", "decoded"):
        for done in range(64, 1024 + 1, 64):
            clock.now += 10
            progress.images(what, done, 1024)
    progress.unit("anchors of sd")
    progress.close()
    lines = stream.getvalue().splitlines()
    # the pace is that since the first images were told of: 64 in 10 s
    assert lines[1] == "after 30 s; latents of sd: encoded, 192 of 1,024 images, 2.2 min left"
    assert any("decoded, 512 of 1,024 images, 1.3 min left" in line for line in lines)
    assert lines[-1] == "after 5.3 min; anchors of sd"
    assert len(lines) == 2 + 320 // 30


def test_a_result_stays_above_the_bar():
    for stream in (io.StringIO(), Terminal()):
        progress, _ = started(10, stream)
        progress.unit("reconstruction sd")
        progress.say("sd: psnr 30.1")
        progress.close()
        assert "sd: psnr 30.1\n" in stream.getvalue()


def test_never_more_than_all_of_it():
    for stream in (io.StringIO(), Terminal()):
        progress, clock = started(10, stream)
        progress.unit("a", 10)
        steps(progress, clock, 3, 40.0, each=5)
        progress.close()
        shares = [int(share) for share in re.findall(r"(\d+)% after", stream.getvalue())]
        assert shares and max(shares) == 100
        assert (progress.done, progress.total) == (15, 15)
