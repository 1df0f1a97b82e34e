// Left: the points and where each loss would move the anchor. Right: for each loss its value, and the force on a positive
// and on a negative over their similarity.

const COLOURS = ["#D55E00", "#000000", "#8638D2", "#762129"];  // of the losses, which are numbered as well
const POSITIVE = "#009E73", NEGATIVE = "#0072B2";
const ROLES = [
  { colour: POSITIVE, marker: "^" }, { colour: "#CC79A7", marker: "D" }, { colour: NEGATIVE, marker: "o" }, { colour: "#222", marker: "*" },
];
const NAMES = ["its positive", "its class", "other classes", "the anchor"];

function arrow(ctx, x, y, dx, dy, colour) {
  const length = Math.hypot(dx, dy), head = Math.min(9, length);
  if (length < 1) return;
  const ux = (head * dx) / length, uy = (head * dy) / length;
  line(ctx, [[x, y], [x + dx, y + dy]], colour, { width: 2.5 });
  line(ctx, [[x + dx - ux - 0.55 * uy, y + dy - uy + 0.55 * ux], [x + dx, y + dy], [x + dx - ux + 0.55 * uy, y + dy - uy - 0.55 * ux]],
    colour, { width: 2.5 });
}

function badge(ctx, x, y, number) {
  ctx.beginPath();
  ctx.arc(x, y, 8, 0, 7);
  ctx.fillStyle = COLOURS[number];
  ctx.fill();
  text(ctx, String(number + 1), x, y + 0.5, { size: 11, weight: 700, colour: "white", align: "center", base: "middle" });
}

const panel = {
  height: (width, { cases }) => (width < 620 ? width : 0) + Math.max(width < 620 ? 0 : 440, 190 * cases.length + 64),
  draw(ctx, width, height, data, view) {
    const { dim, views, anchor } = data, count = data.points.length / dim, narrow = width < 620, many = data.cases.length;
    const side = narrow ? width : 0.46 * width, x0 = side / 2, y0 = side / 2 + 20;
    const size = side / 2 - 24 - 15 * many;
    const place = (source, i) => (dim === 2 ? [source[2 * i], source[2 * i + 1], 1]
      : turned([source[3 * i], source[3 * i + 1], source[3 * i + 2]], view));
    const xs = new Float32Array(count), ys = new Float32Array(count), depth = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      const [x, y, z] = place(data.points, i);
      [xs[i], ys[i], depth[i]] = [x0 + size * x, y0 - size * y, z];
    }
    ground(ctx, x0, y0, [size], dim, view);
    for (const front of [false, true]) scatter(ctx, xs, ys, data.roles, ROLES, {
      radius: front ? 5 : 3.5, alpha: front ? 0.85 : 0.3, keep: (i) => i !== anchor && (depth[i] > 0) === front,
    });
    const partner = anchor - (anchor % views) + ((anchor + 1) % views);
    line(ctx, [[xs[anchor], ys[anchor]], [xs[partner], ys[partner]]], POSITIVE, { width: 1.2, dash: [3, 3] });

    // Lengths grow with the logarithm of the force. On the circle all arrows go along it: each loss has a ring of its own.
    const strengths = data.cases.map(({ force }) => Math.log1p(force / 0.1)), most = Math.max(...strengths, 1e-9);
    strengths.forEach((strength, k) => {
      const [dx, dy] = place(data.arrows, k);
      if (dim === 2) {
        const [x, y] = place(data.points, anchor), radius = size + 18 + 15 * k, start = Math.atan2(y, x);
        const turn = (0.9 * Math.sign(x * dy - y * dx) * strength) / most;
        const at = (angle, off = 0) => [x0 + (radius + off) * Math.cos(angle), y0 - (radius + off) * Math.sin(angle)];
        const barb = start + turn - Math.sign(turn) * Math.min(Math.abs(turn), 0.06);
        line(ctx, Array.from({ length: 25 }, (_, i) => at(start + (turn * i) / 24)), COLOURS[k], { width: 2.5 });
        line(ctx, [at(barb, -5), at(start + turn), at(barb, 5)], COLOURS[k], { width: 2.5 });
        badge(ctx, ...at(start), k);
      } else {
        const reach = (0.7 * size * strength) / most;
        arrow(ctx, xs[anchor], ys[anchor], reach * dx, -reach * dy, COLOURS[k]);
        badge(ctx, xs[anchor] + reach * dx * 1.12, ys[anchor] - reach * dy * 1.12, k);
      }
    });
    scatter(ctx, [xs[anchor]], [ys[anchor]], [3], ROLES, { radius: 8, alpha: 1 });
    text(ctx, "Where each loss moves the anchor", 0, 12, { size: 13, weight: 600 });
    text(ctx, "arrows: the longer the stronger, logarithmically", 0, 28, { size: 11, colour: MUTED });
    if (dim === 2) legend(ctx, x0 - 48, y0 - 28, ROLES, NAMES);
    else {
      legend(ctx, 2, 50, ROLES, NAMES);
      text(ctx, "drag, or use the arrow keys, to turn the sphere", x0, side + 34, { align: "center", colour: MUTED });
    }

    const left = narrow ? 0 : side + 14, top = narrow ? side + 44 : 0, steps = data.axis.length;
    const wide = width - left, tall = (height - top - 44) / many;
    data.cases.forEach((one, k) => {
      const y = top + k * tall, last = k === many - 1;
      badge(ctx, left + 20, y + 10, k);
      text(ctx, one.title, left + 34, y + 15, { size: 13, weight: 600 });
      text(ctx, one.value, width - 12, y + 15, { size: 14, weight: 600, align: "right" });
      // where the value lies between perfect and collapsed
      const gauge = { x: left + 40, y: y + 31, w: wide - 52 };
      line(ctx, [[gauge.x, gauge.y], [gauge.x + gauge.w, gauge.y]], "#c9c9c9", { width: 4 });
      if (one.collapse !== null) scatter(ctx, [gauge.x + gauge.w * Math.max(0, Math.min(1, one.collapse))], [gauge.y], [0],
        [{ colour: COLOURS[k], marker: one.collapse < 0 ? "<" : one.collapse > 1 ? ">" : "o" }], { radius: 5.5, alpha: 1 });
      text(ctx, `perfect ${one.perfect}`, gauge.x, gauge.y + 17, { size: 11, colour: MUTED });
      text(ctx, `collapsed ${one.collapsed}`, gauge.x + gauge.w, gauge.y + 17, { size: 11, colour: MUTED, align: "right" });
      if (!one.paired)
        return text(ctx, "sees dimensions, not pairs: no force between two points", gauge.x, y + tall / 2 + 20, { colour: MUTED });
      const pairs = data.pairs.subarray(k * count, (k + 1) * count).map((force) => force * one.scale);
      [POSITIVE, NEGATIVE].forEach((colour, kind) => {
        const curve = Array.from(data.laws.subarray((2 * k + kind) * steps, (2 * k + kind + 1) * steps), (force) => force * one.scale);
        const mine = (i) => i !== anchor && (data.roles[i] < (one.labelled ? 2 : 1)) === (kind === 0);
        const forces = [...curve, ...pairs.filter((_, i) => mine(i))];
        const low = Math.min(0, ...forces), high = Math.max(0, ...forces), pad = 0.08 * (high - low) || 1;
        const y0 = low < 0 ? low - pad : 0, y1 = high > 0 ? high + pad : 0;
        const box = { x: left + 40 + (kind * wide) / 2, y: y + 76, w: wide / 2 - 52, h: tall - 90 };
        const axis = axes(ctx, box, {
          x: [-1, 1], y: [y0, y1], xticks: last ? [-1, 0, 1] : [], yticks: ticks([y0, y1], 3),
          xlabel: last ? "similarity to the anchor" : "",
        });
        line(ctx, [[box.x, axis.y(0)], [box.x + box.w, axis.y(0)]], MUTED, { width: 1 });
        line(ctx, curve.map((force, i) => [axis.x(data.axis[i]), axis.y(force)]), colour, { dash: kind ? [7, 3] : [] });
        scatter(ctx, Array.from(data.similarities, axis.x), Array.from(pairs, axis.y), data.roles, ROLES, { radius: 4, alpha: 0.75, keep: mine });
        text(ctx, ["force on a positive", "force on a negative"][kind], box.x, box.y - 7, { size: 11, weight: 600, colour: ["#00694d", NEGATIVE][kind] });
      });
    });
    return {
      x: xs, y: ys,
      tip: (i) => ({ lines: [`sample ${Math.floor(i / views)}, view ${(i % views) + 1}: ${NAMES[data.roles[i]]}`,
        `similarity ${short(data.similarities[i])}`,
        ...data.cases.map((one, k) => `${one.title}: ${one.paired ? short(one.scale * data.pairs[k * count + i]) : "no pair force"}`)] }),
    };
  },
  turns: ({ dim }) => dim === 3,
  drag: turn,
};
