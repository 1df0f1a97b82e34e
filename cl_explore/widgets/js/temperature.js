// Left: the similarities of one anchor and the weights its negatives get. Right: the same numbers over all temperatures.

const POSITIVE = "#009E73", NEGATIVE = "#0072B2", HARDEST = "#D55E00";

const panel = {
  height: (width) => (width < 620 ? 680 : 380),
  draw(ctx, width, height, data) {
    const narrow = width < 620, half = narrow ? width : 0.56 * width, count = data.weights.length;
    const top = { x: 56, y: 30, w: half - 76, h: 80 };
    const bottom = { x: 56, y: 160, w: half - 76, h: 172 };
    const over = narrow ? { x: 56, y: 428, w: width - 76, h: 200 } : { x: half + 56, y: 66, w: width - half - 76, h: 266 };

    const low = Math.min(data.positive, data.similarities[count - 1]), high = Math.max(data.positive, data.similarities[0]);
    const pad = 0.12 * (high - low) || 0.1;
    const cosines = axes(ctx, top, {
      title: "Cosine similarity to the anchor", x: [0, count], y: [low - pad, high + pad], xticks: [],
    });
    line(ctx, [[top.x, cosines.y(data.positive)], [top.x + top.w, cosines.y(data.positive)]], POSITIVE, { dash: [6, 3] });
    text(ctx, "positive", top.x + top.w, cosines.y(data.positive) + (data.positive > (low + high) / 2 ? 15 : -6),
      { colour: "#00694d", weight: 600, align: "right" });
    scatter(ctx, data.similarities.map((_, i) => cosines.x(i + 0.5)), data.similarities.map(cosines.y),
      data.similarities.map((_, i) => (i ? 1 : 0)), [{ colour: HARDEST, marker: "o" }, { colour: NEGATIVE, marker: "o" }],
      { radius: count > 80 ? 2 : 3.5, alpha: 1 });

    // The axis grows in steps, so that one sees bars move and not the axis.
    const ceiling = [0.02, 0.05, 0.1, 0.2, 0.5, 1].find((limit) => data.weights[0] <= limit);
    const weights = axes(ctx, bottom, {
      title: "Share of the repulsion each negative gets", x: [0, count], y: [0, ceiling], xticks: [], ylabel: "weight",
    });
    bars(ctx, weights, data.weights, (i) => (i ? NEGATIVE : HARDEST));
    line(ctx, [[bottom.x, weights.y(1 / count)], [bottom.x + bottom.w, weights.y(1 / count)]], INK, { width: 1, dash: [3, 3] });
    text(ctx, `equal shares, 1/${count}`, bottom.x + bottom.w, weights.y(1 / count) - 5, { align: "right", size: 11 });
    text(ctx, `${count} negatives, hardest first`, bottom.x + bottom.w / 2, bottom.y + bottom.h + 8,
      { align: "center", base: "top", colour: MUTED });

    const curves = axes(ctx, over, {
      x: [data.temperatures[0], data.temperatures.at(-1)], y: [0, 1], log: true,
      xticks: [0.03, 0.1, 0.3, 1, 3], xlabel: "temperature \u03c4 (log scale)",
    });
    const at = curves.x(data.temperature), rows = [
      ["entropy / its maximum", data.entropy, NEGATIVE, [], data.now[0]],
      ["largest share", data.largest, HARDEST, [8, 3], data.now[1]],
      ["q = 1 \u2212 P(positive)", data.q, POSITIVE, [2, 3], data.now[2]],
    ];
    line(ctx, [[at, over.y], [at, over.y + over.h]], INK, { width: 1 });
    rows.forEach(([name, values, colour, dash, now], row) => {
      line(ctx, Array.from(values, (value, i) => [curves.x(data.temperatures[i]), curves.y(value)]), colour, { dash });
      scatter(ctx, [at], [curves.y(now)], [0], [{ colour, marker: "o" }], { radius: 5, alpha: 1 });
      const x = over.x + (row === 1 ? 175 : 0), y = over.y - (row < 2 ? 32 : 14);
      line(ctx, [[x, y], [x + 20, y]], colour, { dash, width: 2.5 });
      text(ctx, name, x + 25, y + 4);
    });
    text(ctx, "The same over all temperatures", over.x, over.y - 46, { size: 13, weight: 600 });
    return {
      x: data.weights.map((_, i) => weights.x(i + 0.5)), y: data.weights.map((value) => weights.y(value)),
      tip: (i) => ({ lines: [`negative ${i + 1} of ${count}`, `similarity ${short(data.similarities[i])}`,
        `weight ${short(data.weights[i])}`] }),
    };
  },
};
