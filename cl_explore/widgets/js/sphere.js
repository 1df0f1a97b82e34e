// Left: the points on their circle or sphere. Right: what was measured at every step so far.

const MEASURE = "#0072B2";

const panel = {
  height: (width) => (width < 620 ? width + 250 : Math.min(500, 0.58 * width)),
  draw(ctx, width, height, data, view) {
    const { dim, views } = data, count = data.points.length / dim, narrow = width < 620;
    const side = narrow ? width : height, x0 = side / 2, y0 = side / 2 - 8, size = side / 2 - (dim === 2 ? 34 : 44);
    const place = (source, i) => (dim === 2 ? [source[2 * i], source[2 * i + 1], 1]
      : turned([source[3 * i], source[3 * i + 1], source[3 * i + 2]], view));
    // On the circle each view has a ring of its own: an aligned pair stands on one radius.
    const reach = (v) => size * (dim === 2 ? 1 - 0.1 * v : 1);
    const xs = new Float32Array(count), ys = new Float32Array(count), depth = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      const [x, y, z] = place(data.points, i), radius = reach(i % views);
      xs[i] = x0 + radius * x;
      ys[i] = y0 - radius * y;
      depth[i] = z;
    }
    ground(ctx, x0, y0, Array.from({ length: views }, (_, v) => reach(v)), dim, view);
    ctx.globalAlpha = count > 600 ? 0.25 : 0.55;
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
    const radius = count > 1200 ? 2.4 : count > 500 ? 3 : 4.2;
    if (dim === 3) scatter(ctx, xs, ys, data.group, data.looks, { radius: 0.75 * radius, alpha: 0.25, keep: (i) => depth[i] <= 0 });
    scatter(ctx, xs, ys, data.group, data.looks, { radius, keep: (i) => depth[i] > 0 });
    ctx.beginPath();  // a ring around what stands for several samples
    for (let i = 0; i < count; i++) if (data.copies[i] > 1 && depth[i] > 0) {
      ctx.moveTo(xs[i] + radius + 3, ys[i]);
      ctx.arc(xs[i], ys[i], radius + 3, 0, 7);
    }
    ctx.lineWidth = 1.2;
    ctx.strokeStyle = INK;
    ctx.stroke();
    if (data.arrows) {
      const ends = Array.from(xs, (_, i) => (depth[i] > 0 ? place(data.arrows, i) : [0, 0]));
      arrows(ctx, xs, ys, ends.map(([x]) => size * x), ends.map(([, y]) => -size * y));
    }
    if (data.names.length) legend(ctx, dim === 2 ? x0 - 44 : 4, dim === 2 ? y0 - 9.5 * (data.names.length - 1) : 14, data.looks, data.names);
    text(ctx, dim === 2 ? "outside view 1, inside view 2; a line joins them"
      : "drag, or use the arrow keys, to turn the sphere", x0, side - 8, { align: "center", colour: MUTED });

    const columns = narrow ? 2 : 1, rows = data.measures.length / columns;
    const left = narrow ? 4 : side + 36, top = narrow ? side + 8 : 0;
    const pitch = [(width - left - 8) / columns, (height - top - 6) / rows];
    data.measures.forEach((name, i) => sparkline(ctx, {
      x: left + (i % columns) * pitch[0], y: top + Math.floor(i / columns) * pitch[1] + 26, w: pitch[0] - 14, h: pitch[1] - 40,
    }, name, Array.from(data.history.subarray(i * data.span, i * data.span + data.recorded)), MEASURE));
    return {
      x: xs, y: ys,
      tip: (i) => ({ lines: [`sample ${Math.floor(i / views)}, view ${(i % views) + 1}`,
        ...(data.names.length ? [data.names[data.group[i]].split(":")[0]] : []),
        ...(data.copies[i] > 1 ? [`${data.copies[i] - 1} exact copies`] : [])] }),
    };
  },
  turns: ({ dim }) => dim === 3,
  drag: turn,
};
