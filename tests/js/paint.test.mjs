import assert from "node:assert/strict";
import test from "node:test";

import { contrast, scale, shade, short, THEMES, ticks, turned, viridis } from "../../cl_explore/widgets/js/paint.js";

test("ticks are round numbers within the range", () => {
  assert.deepEqual(ticks([0, 1], 5), [0, 0.2, 0.4, 0.6, 0.8, 1]);
  assert.deepEqual(ticks([1, 0], 2), [0, 0.5, 1]);
  assert.deepEqual(ticks([-0.31, 0.29], 4), [-0.2, 0, 0.2]);
  assert.deepEqual(ticks([0.01, 1000], 3, true), [0.01, 0.1, 1, 10, 100, 1000]);
  assert.deepEqual(ticks([3, 30], 9, true), [5, 10, 20]);
});

test("a scale maps its range to 0..1 and back, also falling and logarithmic", () => {
  for (const axis of [{ range: [2, 6] }, { range: [6, 2] }, { range: [0.1, 10], log: true }]) {
    const { share, value } = scale(axis);
    assert.ok(Math.abs(share(axis.range[0])) < 1e-12);
    assert.ok(Math.abs(share(axis.range[1]) - 1) < 1e-12);
    for (const part of [0, 0.25, 0.7, 1]) assert.ok(Math.abs(share(value(part)) - part) < 1e-12);
  }
  assert.ok(Math.abs(scale({ range: [0.1, 10], log: true }).share(1) - 0.5) < 1e-12);
});

test("numbers have three digits and a real minus", () => {
  assert.equal(short(-0.12345), "\u22120.123");
  assert.equal(short(1234.5), "1230");
  assert.equal(short(NaN), "\u2013");
});

test("on dark paper every colour stands out, on light paper colours stay as they are", () => {
  for (const colour of ["#000000", "#762129", "#0072B2", "#E69F00"]) {
    assert.equal(shade(colour, THEMES.light), colour);
    assert.ok(contrast(shade(colour, THEMES.dark), THEMES.dark.paper) >= 3.5, colour);
  }
  assert.equal(shade("ink", THEMES.dark), THEMES.dark.ink);
  for (const theme of Object.values(THEMES)) {
    assert.ok(contrast(theme.ink, theme.paper) > 7);
    assert.ok(contrast(theme.muted, theme.paper) > 4.5);
  }
});

test("a scene that is turned keeps its lengths", () => {
  const [x, y, z] = turned(0.2, -0.5, 0.8, { yaw: 1.1, pitch: -0.7 });
  assert.ok(Math.abs(Math.hypot(x, y, z) - Math.hypot(0.2, -0.5, 0.8)) < 1e-12);
  assert.deepEqual(turned(1, 2, 3, { yaw: 0, pitch: 0 }), [1, 2, 3]);
});

test("viridis runs from purple to yellow and does not leave its ends", () => {
  assert.equal(viridis(-1), "rgb(68,1,84)");
  assert.equal(viridis(2), "rgb(253,231,37)");
});
