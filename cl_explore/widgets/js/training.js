// Left: the samples on the sphere while the network learns. Right: what was measured so far, and when knobs were turned.

const MEASURE = "#0072B2", TURN = "#A33B00";

// A number over the steps of the training, up to now, with the moments at which a knob was turned.
function drawCurve(ctx, box, data, steps, values, title) {
  const end = Math.max(steps.at(-1), 20), seen = values.filter((_, i) => steps[i] <= data.step);
  let low = Math.min(...values), high = Math.max(...values);
  const least = 0.02 * Math.max(Math.abs(high), 0.05);
  if (high - low < least) [low, high] = [low - least / 2, high + least / 2];
  const axis = axes(ctx, box, { title, x: [0, end], y: [low, high], xticks: [], yticks: ticks([low, high]) });
  for (const [step] of data.turns) if (step <= data.step)
    line(ctx, [[axis.x(step), box.y], [axis.x(step), box.y + box.h]], TURN, { width: 1.2, dash: [4, 3] });
  line(ctx, seen.map((value, i) => [axis.x(steps[i]), axis.y(value)]), MEASURE);
  const now = seen.at(-1);
  scatter(ctx, [axis.x(steps[seen.length - 1])], [axis.y(now)], [0], [{ colour: MEASURE, marker: "o" }], { alpha: 1 });
  text(ctx, short(now), box.x + box.w, box.y - 10, { size: 14, weight: 600, align: "right" });
  return axis;
}

const panel = {
  height: (width) => (width < 620 ? width + 560 : 500),
  draw(ctx, width, height, data, view) {
    const narrow = width < 620, side = narrow ? width - 32 : Math.min(height - 46, 0.52 * width);
    const map = { x: 16, y: 12, w: side, h: side }, { xs, ys, depth, pixel } = place(map, data, view);
    disc(ctx, map, pixel);
    cloud(ctx, map, { xs, ys, depth }, data, { radius: size(xs.length) });

    const end = Math.max(data.steps.at(-1), 20), top = narrow ? side + 40 : 0, x = narrow ? 60 : side + 170, w = width - x - 12;
    if (!narrow) key(ctx, side + 36, 26, data, Math.floor((height - 60) / 19));
    const room = (height - top - 26) / data.measures.length;
    data.measures.forEach((title, row) => {
      const box = { x, y: top + room * row + 40, w, h: room - 56 }, axis = drawCurve(ctx, box, data, data.steps, data.curves[row], title);
      if (row + 1 < data.measures.length) return;
      for (const step of [0, end]) text(ctx, step ? `step ${step}` : "0", axis.x(step), box.y + box.h + 6, { size: 11, colour: MUTED, base: "top", align: step ? "right" : "left" });
    });
    const last = data.turns.filter(([step]) => step <= data.step).slice(-3);
    last.forEach(([step, name, value], i) => {
      const where = x + (w * step) / end, y = top + 49 + 14 * (last.length - 1 - i), label = `${name} \u2192 ${value}`;
      ctx.font = font(11, 600);
      const wide = ctx.measureText(label).width, start = Math.min(where + 5, x + w - wide);
      ctx.fillStyle = "rgba(255,255,255,.85)";
      ctx.fillRect(start - 2, y - 10, wide + 4, 13);
      text(ctx, label, start, y, { size: 11, weight: 600, colour: TURN });
    });
    return {
      x: xs, y: ys,
      tip: (i) => ({ lines: [`${data.names[data.group[i]]}`, `sample ${data.index[i]}`] }),
    };
  },
};
