// Left: the samples as the chosen run embeds them. Right: what was measured of all runs, over the setting they differ in.

const RUN = "#0072B2", CHOSEN = "#D55E00";

// One measure over the setting; runs still to come are hollow marks at the foot, failed ones crosses.
function drawMeasure(ctx, box, data, values, title) {
  const ready = values.map((value, i) => i).filter((i) => values[i] !== null), known = ready.map((i) => values[i]);
  let low = Math.min(...known), high = Math.max(...known);
  if (!known.length) [low, high] = [0, 1];
  const pad = Math.max(0.12 * (high - low), 1e-3);
  const axis = axes(ctx, box, { title, x: [-0.03, 1.03], y: [low - pad, high + pad], xticks: [], yticks: known.length ? ticks([low - pad, high + pad], 3) : [] });
  const at = axis.x(data.at[data.chosen]), foot = box.y + box.h;
  line(ctx, [[at, box.y], [at, foot]], CHOSEN, { width: 1.2, dash: [4, 3] });
  line(ctx, ready.map((i) => [axis.x(data.at[i]), axis.y(values[i])]), RUN);
  scatter(ctx, ready.map((i) => axis.x(data.at[i])), ready.map((i) => axis.y(values[i])), ready.map(() => 0), [{ colour: RUN, marker: "o" }], { radius: 3.5, alpha: 1 });
  data.states.forEach((state, i) => {
    if (state === "ready") return;
    const x = axis.x(data.at[i]);
    if (state === "failed") return scatter(ctx, [x], [foot], [0], [{ colour: INK, marker: "X" }], { radius: 5, alpha: 1 });
    ctx.beginPath();
    ctx.arc(x, foot, 4, 0, 7);
    ctx.fillStyle = "white";
    ctx.fill();
    ctx.lineWidth = 1.2;
    ctx.strokeStyle = MUTED;
    ctx.stroke();
  });
  const now = values[data.chosen];
  if (now === null) return axis;
  scatter(ctx, [at], [axis.y(now)], [0], [{ colour: CHOSEN, marker: "D" }], { radius: 6, alpha: 1 });
  text(ctx, short(now), box.x + box.w, box.y - 10, { size: 14, weight: 600, align: "right" });
  return axis;
}

const panel = {
  height: (width) => (width < 620 ? width + 580 : 510),
  draw(ctx, width, height, data, view) {
    const narrow = width < 620, side = narrow ? width - 32 : Math.min(height - 56, 0.52 * width), state = data.states[data.chosen];
    const map = { x: 16, y: 12, w: side, h: side }, { xs, ys, depth, pixel } = place(map, data, view);
    disc(ctx, map, pixel);
    if (xs.length) cloud(ctx, map, { xs, ys, depth }, data, { radius: size(xs.length) });
    else {
      text(ctx, state === "failed" ? "this run failed" : "this run is still to come", map.x + side / 2, map.y + side / 2, { size: 15, weight: 600, align: "center" });
      text(ctx, state === "failed" ? "the reason is below" : "it appears here as soon as it is trained", map.x + side / 2, map.y + side / 2 + 22, { colour: MUTED, align: "center" });
    }
    if (!narrow && data.looks) key(ctx, side + 36, 26, data, Math.floor((height - 60) / 19));
    const x = narrow ? 60 : side + 176, w = width - x - 14, top = narrow ? side + 40 : 0, room = (height - top - 40) / data.measures.length;
    let axis;
    data.measures.forEach((title, row) => {
      axis = drawMeasure(ctx, { x, y: top + room * row + 40, w, h: room - 52 }, data, data.curves[row], title);
    });
    const foot = top + room * data.measures.length - 12;
    let free = -Infinity;
    data.stops.forEach((stop, i) => {
      ctx.font = font(11, i === data.chosen ? 700 : 400);
      const half = ctx.measureText(stop).width / 2, here = axis.x(data.at[i]);
      if (here - half < free && i !== data.chosen) return;
      free = here + half + 6;
      text(ctx, stop, here, foot + 8, { size: 11, weight: i === data.chosen ? 700 : 400, colour: i === data.chosen ? "#A33B00" : MUTED, align: "center", base: "top" });
    });
    text(ctx, data.name, x + w / 2, foot + 24, { align: "center", base: "top", colour: MUTED });
    view.say(data.failed.join(". "));
    return {
      x: xs, y: ys,
      tip: (i) => ({ lines: [data.names[data.group[i]], `sample ${data.index[i]}`], image: picture(data, view, i) }),
    };
  },
};
