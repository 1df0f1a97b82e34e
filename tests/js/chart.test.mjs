import assert from "node:assert/strict";
import test from "node:test";

import { dragged, hoverText, layout, legendOf, pick } from "../../cl_explore/widgets/js/chart.js";
import { THEMES } from "../../cl_explore/widgets/js/paint.js";

const axis = (range, more = {}) => ({ range, label: "", log: false, ticks: null, names: [], grid: false, ...more });
const chart = { x: axis([0, 1]), y: axis([0, 1]), height: 260, bare: false, equal: false, marks: [] };
const wide = (string) => 6 * string.length;

test("the box leaves room for the widest number and for labels", () => {
  const { box, height } = layout(chart, 400, wide);
  assert.equal(height, 260);
  assert.ok(box.x >= wide("0.8") && box.x + box.w < 400 && box.y + box.h < 260);
  const named = layout({ ...chart, y: axis([0, 1], { ticks: [0], names: ["a long name"] }) }, 400, wide).box;
  assert.ok(named.x >= wide("a long name"));
  assert.ok(layout({ ...chart, y: axis([0, 1], { label: "loss" }) }, 400, wide).box.x > box.x);
});

test("where units are equal, the box is as high as its ranges say, and no higher than the chart", () => {
  const equal = { ...chart, equal: true, x: axis([-1, 1]), y: axis([2, -2]) };
  for (const width of [200, 900]) {
    const { box, height } = layout(equal, width, wide);
    assert.ok(Math.abs(box.h - 2 * box.w) < 1e-9);
    assert.ok(height <= 260 && box.y + box.h < height);
  }
});

test("the pointer finds the nearest point within reach, or else the box it is in", () => {
  const dots = { xs: [10, 30], ys: [10, 10] }, bars = { xs: [100], ys: [50], w: 20, h: [80] };
  assert.deepEqual(pick([dots, bars], 27, 12), { target: dots, i: 1 });
  assert.equal(pick([dots, bars], 60, 10), null);
  assert.deepEqual(pick([dots, bars], 108, 85), { target: bars, i: 0 });
  assert.equal(pick([dots, bars], 111, 85), null);
});

test("a hover text names the values of its item", () => {
  const mark = { hover: "class {c}\n{v} nats, {none}", "fields.c": ["cat", "dog"], "fields.v": [0.12345, -1] };
  assert.equal(hoverText(mark, 0), "class cat\n0.123 nats, ");
  assert.equal(hoverText(mark, 1), "class dog\n\u22121 nats, ");
});

test("what is dragged says which knobs take its place", () => {
  assert.deepEqual(dragged({ kind: "points", drag_x: ["", "a"], drag_y: ["b", ""] }, 0), { y: "b" });
  assert.deepEqual(dragged({ kind: "points", drag_x: ["", "a"], drag_y: ["b", ""] }, 1), { x: "a" });
  assert.deepEqual(dragged({ kind: "rule", x: 3, drag: "t" }, 0), { x: "t" });
  assert.deepEqual(dragged({ kind: "rule", y: 3, drag: "t" }, 0), { y: "t" });
  assert.deepEqual(dragged({ kind: "rule", y: 3, drag: "" }, 0), {});
});

test("a legend has one entry for each name and lets no text become HTML", () => {
  const marks = [
    { name: ["one", "<b>two"], colour: ["#000000", "#ffffff"], marker: ["o"], alpha: 1 },
    { name: "course", colour: "ink", dash: "dashed", alpha: 1 }, { name: "", colour: "ink" },
  ];
  const { html } = legendOf(marks, THEMES.light);
  assert.equal(html.match(/<span>/g).length, 3);
  assert.ok(!html.includes("<b>") && html.includes("stroke-dasharray=\"7,4\""));
});
