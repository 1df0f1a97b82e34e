import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import test from "node:test";

import { decoded, frameAt, gather, resolved, unpacked } from "../../cl_explore/widgets/js/page.js";
import { themeOf } from "../../cl_explore/widgets/js/view.js";
import { THEMES } from "../../cl_explore/widgets/js/paint.js";

test("references are replaced wherever they stand", () => {
  const node = { a: [{ $: 0 }, { b: { $: 1 } }], c: null, d: "text" };
  assert.deepEqual(resolved(node, (place) => `part ${place}`), { a: ["part 0", { b: "part 1" }], c: null, d: "text" });
});

test("arrays are cut from a buffer that starts anywhere", () => {
  const bytes = new Uint8Array(3 + 12);
  new DataView(bytes.buffer).setFloat32(3, 1.5, true);
  new DataView(bytes.buffer).setFloat32(7, -2, true);
  bytes.set([7, 8], 11);
  const spec = JSON.stringify({ x: { $: ["f4", 0, 2] }, group: { $: ["u1", 8, 2] } });
  const { x, group } = decoded(spec, new DataView(bytes.buffer, 3));
  assert.deepEqual([...x], [1.5, -2]);
  assert.deepEqual([...group], [7, 8]);
});

test("rounded numbers come back, and the lowest stands for none", () => {
  const text = (numbers) => Buffer.from(numbers.buffer).toString("base64");
  const packed = text(new Int16Array([32767, -32768, 0]));
  const [high, none, zero] = unpacked({ type: "Int16Array", data: packed, scale: 2 / 32767 });
  assert.ok(Math.abs(high - 2) < 1e-6 && Number.isNaN(none) && zero === 0);
  const exact = unpacked({ type: "Int8Array", data: text(new Int8Array([5, -3])), scale: 1 });
  assert.deepEqual([...exact], [5, -3]);
});

test("the last slider turns fastest", () => {
  assert.equal(frameAt([3, 4], [0, 0]), 0);
  assert.equal(frameAt([3, 4], [2, 1]), 9);
});

test("JupyterLab says which theme it has; other pages follow the reader", () => {
  for (const dark of [false, true]) {
    assert.equal(themeOf({ dataset: { jpThemeLight: "true" } }, dark), THEMES.light);
    assert.equal(themeOf({ dataset: { jpThemeLight: "false" } }, dark), THEMES.dark);
  }
  assert.equal(themeOf({ dataset: {} }, true), THEMES.dark);
  assert.equal(themeOf({ dataset: {} }, false), THEMES.light);
});

test("options stand under the heading they have, in their order, once", () => {
  const made = [];
  globalThis.document = { createElement: () => {
    const group = { held: [], append: (option) => { group.held.push(option.value); option.flat = false; } };
    made.push(group);
    return group;
  } };
  const options = ["NT-Xent", "CPC", "own", "SwAV"].map((value) => ({ value, flat: true, before() {} }));
  const menu = { selectedIndex: 1, querySelectorAll: () => options.filter(({ flat }) => flat) };
  const families = { "NT-Xent": "InfoNCE", CPC: "InfoNCE", SwAV: "assignment" };
  for (let times = 0; times < 2; times++) gather(menu, families);
  const wanted = [["InfoNCE", ["NT-Xent", "CPC"]], ["assignment", ["SwAV"]]];
  assert.deepEqual(made.map(({ label, held }) => [label, held]), wanted);
  assert.equal(menu.selectedIndex, 1);
  delete globalThis.document;
});
