"""A photograph of twelve megapixels: what a hand feels, measured."""

import statistics

import numpy as np
import pytest
from tests.serve.page.bench import EditorBench, encoded, photograph

pytestmark = pytest.mark.slow

FRAME_MS = 1000 / 60

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
    if (times.length > 121) return done(times.slice(1).map((time, i) => time - times[i]));
    move(times.length);
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})
"""


@pytest.fixture
def large(bench: EditorBench) -> EditorBench:
    bench.open(encoded(photograph(4000, 3000), "JPEG", quality=90))
    assert bench.js("return [editor.size.width, editor.size.height]") == [4000, 3000]
    return bench


@pytest.mark.parametrize(("size_px", "softness"), [(60, 0.0), (400, 0.0), (400, 1.0)])
def test_a_stroke_follows_the_hand_within_a_frame(large: EditorBench, size_px: int, softness: float) -> None:
    large.js("editor.brush = {size_px: arguments[0], softness: arguments[1]}", size_px, softness)
    large.js(WATCH_STROKES)
    turn = np.linspace(0, 4 * np.pi, 150)
    large.drag([(2000 + 1200 * np.cos(t), 1500 + 900 * np.sin(2 * t)) for t in turn])

    latencies = large.js("return latencies")
    assert len(latencies) > 100
    median, late = statistics.median(latencies), np.percentile(latencies, 95)
    print(
        f"\nstroke of {size_px} px, softness {softness}: median {median:.1f} ms, 95% {late:.1f} ms, event to drawn"
    )
    assert median < 16


@pytest.mark.parametrize("motion", ["pan", "zoom"])
@pytest.mark.parametrize("masked", ["a few strokes", "everything"])
def test_the_view_moves_at_the_screens_rate(large: EditorBench, motion: str, masked: str) -> None:
    large.js("editor.brush = {size_px: 300, softness: 0.5}")
    large.drag([(500, 500), (3500, 2500), (3500, 500), (500, 2500)])
    if masked == "everything":
        large.js("editor.invert()")
    large.js("editor.zoom(1.7)")
    large.frame()

    before = large.cpu_s()
    frames = large.later(FRAMES.strip(), motion)
    busy = 1000 * (large.cpu_s() - before) / len(frames)
    median, late = statistics.median(frames), np.percentile(frames, 95)
    print(
        f"\n{motion}, {masked} masked: median {median:.1f} ms a frame, 95% {late:.1f} ms;"
        f" {busy:.1f} ms of one core a frame, drawn without a graphics card"
    )
    # The clock also shows what else the machine does; the work of all the browser's processes does not.
    assert busy < FRAME_MS


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
