// Left: the query, its negatives and what is mixed of them. Right: how hard they are.

const QUERY = { colour: "#000000", marker: "*" }, KEY = { colour: "#009E73", marker: "D" }, EASY = { colour: "#9a9a9a", marker: "o" },
  HARD = { colour: "#0072B2", marker: "o" }, PAIR = { colour: "#D55E00", marker: "^" }, WITH_QUERY = { colour: "#8638D2", marker: "v" };

const panel = {
  height: (width) => (width < 620 ? Math.round(width) + 430 : 480),
  draw(ctx, width, height, data) {
    const narrow = width < 620, size = narrow ? width : 0.53 * width, sphere = data.dim === 3;
    const x0 = size / 2, y0 = 16 + size / 2, radius = size / 2 - 26;
    const at = ([x, y]) => [x0 + radius * x, y0 - radius * y], places = (flat, count) => Array.from({ length: count }, (_, i) => at([flat[2 * i], flat[2 * i + 1]]));
    const angles = Array.from({ length: 73 }, (_, i) => (i * Math.PI) / 36);
    const rings = sphere ? [[30, "30\u00b0"], [60, "60\u00b0"], [90, "90\u00b0"], [180, "180\u00b0"]] : [[180, ""]];
    for (const [degrees, name] of rings) {
      const r = radius * Math.sin((degrees * Math.PI) / 360);
      line(ctx, angles.map((a) => [x0 + r * Math.cos(a), y0 + r * Math.sin(a)]), degrees === 180 ? "#bdbdbd" : GRID, { width: 1 });
      text(ctx, name, x0 + r * 0.71 + 3, y0 + r * 0.71 + 8, { size: 11, colour: MUTED });
    }
    const queue = places(data.queue, data.hard.length), count = data.pairs + data.queries, made = places(data.made, count);
    const kind = (i) => (i < data.pairs ? 0 : 1);
    for (const which of [0, 1]) {
      ctx.globalAlpha = 0.4;
      for (let i = 0; i < count; i++) if (kind(i) === which) {
        const second = data.second[i] < 0 ? at(data.query) : queue[data.second[i]];
        line(ctx, [queue[data.first[i]], made[i], second], [PAIR, WITH_QUERY][which].colour, { width: 1 });
      }
      ctx.globalAlpha = 1;
    }
    const columns = (points) => [points.map(([x]) => x), points.map(([, y]) => y)];
    const [qx, qy] = columns(queue), [mx, my] = columns(made);
    scatter(ctx, qx, qy, data.hard, [EASY, HARD], { radius: 4.4 });
    scatter(ctx, mx, my, made.map((_, i) => kind(i)), [PAIR, WITH_QUERY], { radius: 5.2 });
    for (const [point, look] of [[data.key, KEY], [data.query, QUERY]]) scatter(ctx, [at(point)[0]], [at(point)[1]], [0], [look], { radius: 8, alpha: 1 });
    text(ctx, sphere ? "The sphere from the query: rings are angles" : "Points on the circle", 8, 14, { size: 13, weight: 600 });

    const left = narrow ? 56 : size + 56, top = narrow ? size + 150 : 190, w = width - left - 20, h = 210, bins = data.real.length;
    legend(ctx, left - 20, top - 144, [QUERY, KEY, EASY, HARD, PAIR, WITH_QUERY],
      ["query", "its positive", "negatives in the queue", "the hardest of them", `${data.pairs} mixes of two of the hardest`, `${data.queries} mixes of one with the query`]);
    const most = Math.max(...data.real, ...data.synthetic), ceiling = [5, 10, 20, 40, 60].find((limit) => most <= limit) ?? 100;
    const axis = axes(ctx, { x: left, y: top, w, h }, { title: "", x: [0, bins], y: [0, ceiling], xticks: [], ylabel: "negatives" });
    bars(ctx, axis, data.real, () => HARD.colour);
    // Synthetic ones as an outline, so that colour is not all that tells them apart.
    data.synthetic.forEach((value, i) => {
      if (!value) return;
      ctx.fillStyle = "rgba(213,94,0,.25)";
      ctx.strokeStyle = PAIR.colour;
      ctx.lineWidth = 1.6;
      ctx.fillRect(axis.x(i), axis.y(value), axis.x(1) - axis.x(0), axis.y(0) - axis.y(value));
      ctx.strokeRect(axis.x(i), axis.y(value), axis.x(1) - axis.x(0), axis.y(0) - axis.y(value));
    });
    const bin = (cosine) => axis.x(((cosine + 1) / 2) * bins);
    for (const [value, colour, dash, name, row] of [[data.positive, "#00694d", [6, 3], "positive", 0], [data.best, HARD.colour, [2, 3], "hardest real", 1]]) {
      line(ctx, [[bin(value), top], [bin(value), top + h]], colour, { width: 1.5, dash });
      text(ctx, name, bin(value) - 5, top + 12 + 15 * row, { align: "right", colour, weight: 600 });
    }
    for (const value of [-1, -0.5, 0, 0.5, 1]) text(ctx, short(value), bin(value), top + h + 7, { size: 11, colour: MUTED, align: "center", base: "top" });
    text(ctx, "cosine with the query; outlined: synthetic", left + w / 2, top + h + 24, { align: "center", base: "top", colour: MUTED });
    return {
      x: [...mx, ...qx], y: [...my, ...qy],
      tip: (i) => ({ lines: [i >= count ? `negative ${i - count + 1} of the queue` : kind(i) ? "mix with the query" : "mix of two negatives"] }),
    };
  },
};
