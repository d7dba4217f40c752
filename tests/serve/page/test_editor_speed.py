"""A photograph of twelve megapixels: what a hand feels, measured."""

import functools
import statistics

import numpy as np
import pytest
from tests.serve.page.bench import EditorBench, encoded, photograph

pytestmark = pytest.mark.slow

FRAME_MS = 16

WATCH_STROKES = """
window.latencies = [];
editor.host.addEventListener("pointermove", (event) => {
  if (event.buttons) requestAnimationFrame(() => latencies.push(performance.now() - event.timeStamp));
});
"""

FRAMES = """
await new Promise((done) => {
  const times = [], move = {
    pan: (i) => editor.pan(i % 60 < 30 ? 9 : -9, i % 40 < 20 ? 5 : -5),
    zoom: (i) => editor.zoom(i % 80 < 40 ? 1.03 : 1 / 1.03, 500, 300),
  }[arguments[0]];
  const step = (now) => {
    times.push(now);
    if (times.length > 61) return done(times.slice(1).map((time, i) => time - times[i]));
    move(times.length);
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})
"""


@functools.cache
def twelve_megapixels() -> bytes:
    return encoded(photograph(4000, 3000), "JPEG", quality=90)


@pytest.fixture
def large(bench: EditorBench) -> EditorBench:
    bench.open(twelve_megapixels())
    assert bench.js("return [editor.size.width, editor.size.height]") == [4000, 3000]
    return bench


def test_a_stroke_follows_the_hand_within_a_frame(large: EditorBench) -> None:
    large.js(WATCH_STROKES)
    turn = np.linspace(0, 4 * np.pi, 150)
    for size_px, softness in [(60, 0.0), (400, 0.0), (400, 1.0)]:
        large.js(
            "editor.brush = {size_px: arguments[0], softness: arguments[1]}; latencies = []", size_px, softness
        )
        large.drag([(2000 + 1200 * np.cos(t), 1500 + 900 * np.sin(2 * t)) for t in turn])

        latencies = large.js("return latencies")
        assert len(latencies) > 100
        median, late = statistics.median(latencies), np.percentile(latencies, 95)
        print(f"\nstroke of {size_px} px, softness {softness}: event to drawn {median:.1f} ms, 95% {late:.1f} ms")
        assert median < FRAME_MS


def test_the_view_moves_at_the_screens_rate(large: EditorBench) -> None:
    large.js("editor.brush = {size_px: 300, softness: 0.5}")
    large.drag([(500, 500), (3500, 2500), (3500, 500), (500, 2500)])
    large.js("editor.zoom(1.7)")
    for masked in ("a few strokes", "all but a few strokes"):
        for motion in ("pan", "zoom"):
            frames, busy = moved(large, motion)
            median, late = statistics.median(frames), np.percentile(frames, 95)
            print(
                f"\n{motion}, {masked} masked: {median:.1f} ms a frame, 95% {late:.1f} ms; {busy:.1f} ms of work"
            )
            # The clock also shows what else the machine does; the least work of three tries hardly does. Without a
            # graphics card it is shared by two processes, each of which has a frame's time.
            assert busy < 2 * FRAME_MS
        large.js("editor.invert()")


def moved(bench: EditorBench, motion: str) -> tuple[list[float], float]:
    """Milliseconds from frame to frame while the view moves, and the least that a frame took of all processes."""
    frames: list[float] = []
    busy = []
    for _ in range(3):
        before = bench.cpu_s()
        frames += (these := bench.later(FRAMES.strip(), motion))
        busy.append(1000 * (bench.cpu_s() - before) / len(these))
    return frames, min(busy)


def test_masks_of_many_megapixels_are_changed_in_a_moment(large: EditorBench) -> None:
    large.js("editor.brush = {size_px: 60, softness: 0.5}")
    large.drag([(1000, 1000), (3000, 1000), (3000, 2000), (1000, 2000), (1000, 1000)])
    for code in (
        "editor.tools.fill.down({x: 2000, y: 1500}, {erases: false})",
        "editor.grow(16)",
        "editor.invert()",
        "editor.undo()",
    ):
        took = large.js(f"const start = performance.now(); {code}; return performance.now() - start")
        print(f"\n{code}: {took:.0f} ms")
        assert took < 2000
    before = large.mask()
    large.later("await editor.loadMask(await editor.maskBlob())")
    assert np.array_equal(large.mask(), before)
