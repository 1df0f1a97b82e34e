import assert from "node:assert/strict";
import test from "node:test";

import { inside } from "../../cl_explore/widgets/js/chart.js";
import { linked, neighbours, statistics, vectors } from "../../cl_explore/widgets/js/near.js";

const close = (one, other, far = 1e-6) => assert.ok(Math.abs(one - other) < far, `${one} is not ${other}`);
const unit = Float32Array.of(127, 0, 0, 127, 90, 90, -127, 0);

test("a line round points holds those within it, wherever it began", () => {
  const targets = { xs: [1, 5, 9], ys: [1, 5, 1] };
  const square = [[0, 0], [6, 0], [6, 6], [0, 6]];
  for (let k = 0; k < 4; k++) assert.deepEqual(inside([...square.slice(k), ...square.slice(0, k)], targets), [0, 1]);
  assert.deepEqual(inside([[0, 0]], targets), []);
});

test("neighbours come in the order of their cosines", () => {
  const { near, cosines } = neighbours(vectors(unit, 4), 0);
  assert.deepEqual(near.slice(0, 3), [2, 1, 3]);
  close(cosines[0], Math.SQRT1_2);
  close(cosines[2], -1);
});

test("a selection is told by its spread and its mean cosine", () => {
  const { dispersion, cosine } = statistics(vectors(unit, 4), [0, 1, 0]);
  close(dispersion, 1 - 5 / 9);
  close(cosine, 1 / 3);
  assert.ok(Number.isNaN(statistics(vectors(unit, 4), [1]).cosine));
});

test("what is chosen is shown on the picture and said", () => {
  const mark = {
    look: { kind: "points", alpha: 0.9, size: 4 }, x: Float32Array.of(0, 1, 2, 3), y: Float32Array.of(0, 0, 0, 0), unit,
    "fields.class": ["a", "b", "b", "a"], "fields.sample": [10, 11, 12, 13], "fields.place": [0, 1, 1, 0],
  };
  const picture = { status: "", rows: [[[{ look: {}, marks: [mark] }]]] };
  const marks = (chosen) => linked(picture, chosen).rows[0][0][0].marks;
  assert.equal(linked(picture, {}), picture);
  assert.equal(linked(picture, { select: [] }), picture);
  const { status } = linked(picture, { near: 0 });
  assert.match(status, /^Sample 10, a: nearest in all dimensions are b \(0.707\), b \(0\)/);
  assert.deepEqual([...marks({ near: 0 })[1].pairs], [0, 2, 0, 1, 0, 3]);
  assert.deepEqual([...marks({ show: 1 })[1].x], [1, 2]);
  assert.match(linked(picture, { select: [1, 2, 3] }).status, /^3 samples selected, 67 % of them b; dispersion/);
});
