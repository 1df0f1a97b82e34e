// What a page without a kernel finds out itself about points that came with `unit` vectors, in 127ths: the neighbours
// of one that is clicked, and the statistics of those that a line is drawn round.

import { short } from "./paint.js";

const NEIGHBOURS = 6;
const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

// Unit vectors (n, width) from vectors that rounding has made a little longer or shorter.
export function vectors(unit, count) {
  const width = unit.length / count, x = new Float32Array(unit.length);
  for (let from = 0; from < unit.length; from += width) {
    const row = unit.subarray(from, from + width), length = Math.hypot(...row) || 1;
    row.forEach((value, j) => { x[from + j] = value / length; });
  }
  return { x, width };
}

export function neighbours({ x, width }, point) {
  const cosines = Array.from({ length: x.length / width }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < width; j++) sum += x[i * width + j] * x[point * width + j];
    return i === point ? -Infinity : sum;
  });
  const order = cosines.map((_, i) => i).sort((a, b) => cosines[b] - cosines[a]);
  const near = order.slice(0, Math.min(NEIGHBOURS, cosines.length - 1));
  return { near, cosines: near.map((i) => cosines[i]) };
}

// Mean squared distance to the mean of the rows, and mean cosine of two different ones (NaN of one).
export function statistics({ x, width }, rows) {
  let square = 0;
  for (let j = 0; j < width; j++) square += (rows.reduce((sum, i) => sum + x[i * width + j], 0) / rows.length) ** 2;
  return { dispersion: Math.max(0, 1 - square), cosine: (rows.length * square - 1) / (rows.length - 1) };
}

const part = (column, rows) => column && Float32Array.from(rows, (i) => column[i]);
const parts = (mark, rows, look) => ({
  ...mark, look: { ...mark.look, hover: "", pick: "", lasso: "", name: "", ...look },
  x: part(mark.x, rows), y: part(mark.y, rows), z: part(mark.z, rows), group: part(mark.group, rows),
});

// The picture with what the reader has chosen on it: { near: point }, { select: rows } or { show: class }.
export function linked(picture, { near, select, show }) {
  const chart = picture.rows[0][0][0], base = chart.marks.findIndex(({ unit }) => unit), mark = chart.marks[base];
  if (!mark || (near ?? select ?? show) === undefined) return picture;
  const names = mark["fields.class"], x = vectors(mark.unit, names.length);
  const rows = select ?? names.map((_, i) => i).filter((i) => mark["fields.place"][i] === show), count = rows.length;
  if (near === undefined && !count) return picture;
  const marks = [...chart.marks], status = [];
  if (near !== undefined) {
    const found = neighbours(x, near), pairs = Float32Array.from(found.near.flatMap((i) => [near, i]));
    const look = { kind: "edges", name: "", alpha: 1, colour: "ink", width: 1.2, dash: "solid" };
    marks[base] = { ...mark, look: { ...mark.look, alpha: 0.4 } };
    marks.push({ look, pairs, x: mark.x, y: mark.y, z: mark.z }, parts(mark, [near, ...found.near], { size: 6 }));
    status.push(`Sample ${mark["fields.sample"][near]}, ${names[near]}: nearest in all dimensions are `,
      found.near.map((i, k) => `${names[i]} (${short(found.cosines[k])})`).join(", "), ".");
  } else {
    const counts = new Map(), { dispersion, cosine } = statistics(x, rows);
    for (const i of rows) counts.set(names[i], (counts.get(names[i]) ?? 0) + 1);
    const [name, most] = [...counts].sort((a, b) => b[1] - a[1])[0];
    marks[base] = { ...mark, look: { ...mark.look, alpha: 0.25 } };
    marks.push(parts(mark, rows, {}));
    status.push(`${count} samples selected, ${percent(most / count)} of them ${name}; dispersion ${short(dispersion)}`,
      count > 1 ? `, mean cosine ${short(cosine)}.` : ".");
  }
  return { ...picture, rows: [[[{ ...chart, marks }], ...picture.rows[0].slice(1)]], status: status.join("") };
}
