// One snapshot of a run as a map, with its legend or colour scale, and the image under the pointer.

const panel = {
  height: (width) => Math.min(520, Math.max(320, 0.62 * width)),
  draw(ctx, width, height, data, view) {
    const column = width < 560 ? 120 : 170, box = { x: 16, y: 12, w: width - column - 32, h: height - 46 };
    // One unit is the same length on both axes, or distances would lie.
    const [left, right, bottom, top] = data.limits;
    const unit = Math.min(box.w / (right - left), box.h / (top - bottom));
    const midX = box.x + box.w / 2 - (unit * (left + right)) / 2, midY = box.y + box.h / 2 + (unit * (bottom + top)) / 2;
    ctx.strokeStyle = GRID;
    ctx.strokeRect(box.x, box.y, box.w, box.h);
    text(ctx, data.axes[0], box.x + box.w / 2, box.y + box.h + 8, { align: "center", base: "top", colour: MUTED });
    ctx.save();
    ctx.translate(box.x - 5, box.y + box.h / 2);
    ctx.rotate(-Math.PI / 2);
    text(ctx, data.axes[1], 0, 0, { align: "center", colour: MUTED });
    ctx.restore();

    const count = data.points.length / 2, xs = new Float32Array(count), ys = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      xs[i] = midX + unit * data.points[2 * i];
      ys[i] = midY - unit * data.points[2 * i + 1];
    }
    const radius = count > 3000 ? 2 : count > 600 ? 3.4 : 4.4;
    const chosen = (i) => data.highlight < 0 || data.labels[i] === data.highlight;
    if (data.highlight >= 0) scatter(ctx, xs, ys, data.group, data.looks.map((look) => ({ ...look, colour: "#c9c9c9" })),
      { radius, alpha: 0.5, keep: (i) => !chosen(i) });
    scatter(ctx, xs, ys, data.group, data.looks, { radius, keep: chosen });

    const x = width - column + 4;
    if (data.names.length) {
      text(ctx, "class", x, 24, { size: 13, weight: 600 });
      legend(ctx, x, 44, data.looks, data.names.slice(0, Math.floor((height - 60) / 19)));
    } else {
      text(ctx, data.colour, x, 24, { size: 13, weight: 600 });
      const tall = 180, step = tall / data.looks.length;
      data.looks.forEach(({ colour }, i) => {
        ctx.fillStyle = colour;
        ctx.fillRect(x, 38 + tall - (i + 1) * step, 18, step + 0.5);
      });
      for (const [share, value] of [[0, data.scale[0]], [0.5, (data.scale[0] + data.scale[1]) / 2], [1, data.scale[1]]])
        text(ctx, short(value), x + 26, 38 + tall * (1 - share), { base: "middle" });
    }
    if (data.sprite && view.source !== data.sprite) {
      view.source = data.sprite;
      view.sheet = Object.assign(new Image(), { src: data.sprite });
    }
    const [w, h] = data.tile ?? [0, 0];
    return {
      x: xs, y: ys,
      tip: (i) => ({
        lines: [`class ${data.classes[data.labels[i]]}`, `index ${data.index[i]}`,
          ...(data.values ? [`${data.colour} ${short(data.values[i])}`] : [])],
        image: view.sheet?.complete && { sheet: view.sheet, x: (i % data.columns) * w, y: Math.floor(i / data.columns) * h, w, h },
      }),
    };
  },
};
