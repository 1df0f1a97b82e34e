// Left: the points on their circle or sphere. Right: what was measured at every step so far.

const MEASURE = "#0072B2";

// Turns a point of the sphere to where the reader has dragged it; the last coordinate points at the reader.
function turned([x, y, z], { yaw = 0.5, pitch = 0.4 }) {
  const a = x * Math.cos(yaw) + z * Math.sin(yaw), c = z * Math.cos(yaw) - x * Math.sin(yaw);
  return [a, y * Math.cos(pitch) - c * Math.sin(pitch), y * Math.sin(pitch) + c * Math.cos(pitch)];
}

const panel = {
  height: (width) => Math.min(470, width),
  draw(ctx, width, height, data, view) {
    const { dim, views } = data, count = data.points.length / dim;
    const x0 = height / 2, y0 = height / 2, size = height / 2 - 46;
    const place = (source, i) => (dim === 2 ? [source[2 * i], source[2 * i + 1], 1]
      : turned([source[3 * i], source[3 * i + 1], source[3 * i + 2]], view));
    // On the circle each view has a ring of its own: an aligned pair stands on one radius.
    const reach = (i) => size * (dim === 2 ? 1 - 0.1 * (i % views) : 1);
    const xs = new Float32Array(count), ys = new Float32Array(count), depth = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      const [x, y, z] = place(data.points, i);
      [xs[i], ys[i], depth[i]] = [x0 + reach(i) * x, y0 - reach(i) * y, z];
    }
    const circle = (points) => line(ctx, points.map(([x, y]) => [x0 + x, y0 - y]), "#bdbdbd", { width: 1 });
    const angles = Array.from({ length: 73 }, (_, i) => (i * Math.PI) / 36);
    if (dim === 2) for (let v = 0; v < views; v++)
      circle(angles.map((a) => [reach(v) * Math.cos(a), reach(v) * Math.sin(a)]));
    else {
      circle(angles.map((a) => [size * Math.cos(a), size * Math.sin(a)]));
      ctx.globalAlpha = 0.5;
      const great = [(a) => [Math.cos(a), Math.sin(a), 0], (a) => [Math.cos(a), 0, Math.sin(a)], (a) => [0, Math.cos(a), Math.sin(a)]];
      for (const point of great) circle(angles.map((a) => turned(point(a), view).map((value) => size * value)));
      ctx.globalAlpha = 1;
    }
    ctx.globalAlpha = 0.55;
    data.looks.forEach(({ colour }, look) => {
      ctx.beginPath();
      for (let i = 0; i < count; i++) if (i % views && data.group[i] === look && depth[i] > 0 && depth[i - 1] > 0) {
        ctx.moveTo(xs[i - 1], ys[i - 1]);
        ctx.lineTo(xs[i], ys[i]);
      }
      ctx.strokeStyle = colour;
      ctx.lineWidth = 1.2;
      ctx.stroke();
    });
    ctx.globalAlpha = 1;
    const radius = count > 600 ? 3 : 4.2;
    if (dim === 3) scatter(ctx, xs, ys, data.group, data.looks, { radius: 0.75 * radius, alpha: 0.25, keep: (i) => depth[i] <= 0 });
    scatter(ctx, xs, ys, data.group, data.looks, { radius, keep: (i) => depth[i] > 0 });
    if (data.arrows) {
      const ends = Array.from(xs, (_, i) => (depth[i] > 0 ? place(data.arrows, i) : [0, 0]));
      arrows(ctx, xs, ys, ends.map(([x]) => size * x), ends.map(([, y]) => -size * y));
    }
    if (data.names.length) legend(ctx, dim === 2 ? x0 - 34 : 8, dim === 2 ? y0 - 9.5 * (data.names.length - 1) : 14, data.looks, data.names);
    text(ctx, dim === 2 ? "outside view 1, inside view 2; a line joins them"
      : "drag, or use the arrow keys, to turn the sphere", x0, height - 8, { align: "center", colour: MUTED });

    const left = height + 50, gap = height / data.measures.length, recorded = data.recorded;
    if (width - left > 120) data.measures.forEach((name, row) => {
      const values = Array.from({ length: recorded }, (_, i) => Math.round(1e4 * data.history[row * data.span + i]) / 1e4);
      let low = Math.min(...values), high = Math.max(...values);
      if (high - low < 1e-3) [low, high] = [low - 5e-4, high + 5e-4];
      const box = { x: left + 6, y: row * gap + 30, w: width - left - 16, h: gap - 52 };
      const axis = axes(ctx, box, { title: name, x: [0, Math.max(1, recorded - 1)], y: [low, high], xticks: [], yticks: recorded > 1 ? [low, high] : [] });
      line(ctx, values.map((value, i) => [axis.x(i), axis.y(value)]), MEASURE);
      scatter(ctx, [axis.x(recorded - 1)], [axis.y(values[recorded - 1])], [0], [{ colour: MEASURE, marker: "o" }]);
      text(ctx, short(values[recorded - 1]), box.x + box.w, box.y - 10, { size: 14, weight: 600, align: "right" });
    });
    return {
      x: xs, y: ys,
      tip: (i) => ({ lines: [`sample ${Math.floor(i / views)}, view ${(i % views) + 1}`,
        ...(data.names.length ? [data.names[data.group[i]]] : [])] }),
    };
  },
  turns: ({ dim }) => dim === 3,
  drag(view, dx, dy) {
    view.yaw = (view.yaw ?? 0.5) + 0.01 * dx;
    view.pitch = Math.max(-1.5, Math.min(1.5, (view.pitch ?? 0.4) + 0.01 * dy));
  },
};
