// Left: the similarities of one anchor and the weights its negatives get. Right: the same numbers over all temperatures,
// with their limits, and the multiplier q over the number of negatives.

const POSITIVE = "#009E73", NEGATIVE = "#0072B2", HARD = "#D55E00", INVERSE = "#8638D2";

const panel = {
  height: (width) => (width < 620 ? 960 : 470),
  draw(ctx, width, height, data) {
    const narrow = width < 620, half = narrow ? width : 0.5 * width, count = data.weights.length;
    const top = { x: 56, y: 30, w: half - 76, h: 96 };
    const bottom = { x: 56, y: 176, w: half - 76, h: narrow ? 150 : 256 };
    const right = narrow ? 56 : half + 34, across = width - right - 10;
    const over = { x: right, y: narrow ? 450 : 78, w: across, h: 178 };
    const batch = { x: right, y: narrow ? 740 : 338, w: across, h: narrow ? 150 : 80 };
    const looks = [HARD, NEGATIVE].map((colour, i) => ({ colour, marker: "Do"[i] }));

    const low = Math.min(data.positive, data.similarities[count - 1]), high = Math.max(data.positive, data.similarities[0]);
    const pad = 0.12 * (high - low) || 0.1;
    const cosines = axes(ctx, top, {
      title: "Cosine similarity to the anchor", x: [0, count], y: [low - pad, high + pad], xticks: [], 
    });
    line(ctx, [[top.x, cosines.y(data.positive)], [top.x + top.w, cosines.y(data.positive)]], POSITIVE, { dash: [6, 3] });
    text(ctx, "positive", top.x + top.w, cosines.y(data.positive) + (data.positive > (low + high) / 2 ? 15 : -6),
      { colour: "#00694d", weight: 600, align: "right" });
    scatter(ctx, data.similarities.map((_, i) => cosines.x(i + 0.5)), data.similarities.map(cosines.y),
      data.similarities.map((_, i) => (i < data.hard ? 0 : 1)), looks, { radius: count > 80 ? 2 : 3.5, alpha: 1 });

    // The axis grows in steps, so that one sees bars move and not the axis.
    const ceiling = [0.02, 0.05, 0.1, 0.2, 0.5, 1].find((limit) => data.weights[0] <= limit);
    const weights = axes(ctx, bottom, {
      title: "Share of the repulsion each negative gets", x: [0, count], y: [0, ceiling], xticks: [],
    });
    const edge = weights.x(data.hard);
    ctx.fillStyle = "rgba(213,94,0,.08)";
    ctx.fillRect(bottom.x, bottom.y, edge - bottom.x, bottom.h);
    bars(ctx, weights, data.weights, (i) => (i < data.hard ? HARD : NEGATIVE));
    line(ctx, [[edge, bottom.y], [edge, bottom.y + bottom.h]], HARD, { width: 1, dash: [2, 3] });
    const bear = `the hardest ${data.hard} bear ${Math.round(100 * data.now[1])} %`;
    if (edge < bottom.x + 0.6 * bottom.w) text(ctx, bear, edge + 6, bottom.y + 12, { weight: 600, colour: "#9c4500" });
    else text(ctx, bear, edge - 6, bottom.y + 12, { weight: 600, colour: "#9c4500", align: "right" });
    line(ctx, [[bottom.x, weights.y(1 / count)], [bottom.x + bottom.w, weights.y(1 / count)]], INK, { width: 1, dash: [3, 3] });
    text(ctx, `equal shares, 1/${count}`, bottom.x + bottom.w, weights.y(1 / count) - 5, { align: "right", size: 11 });
    text(ctx, `${count} negatives, hardest first`, bottom.x + bottom.w / 2, bottom.y + bottom.h + 8,
      { align: "center", base: "top", colour: MUTED });

    const curves = axes(ctx, over, {
      x: [data.temperatures[0] / 1.3, 1.3 * data.temperatures.at(-1)], y: [0, 1], log: true,
      xticks: [0.03, 0.1, 0.3, 1, 3], xlabel: "temperature \u03c4 (log scale)",
    });
    const at = curves.x(data.temperature), steps = data.temperatures.length;
    line(ctx, [[at, over.y], [at, over.y + over.h]], INK, { width: 1 });
    const beyond = [0, -1].map((end) => curves.x(data.temperatures.at(end) * (end ? 1.16 : 1 / 1.16)));
    beyond.forEach((x, end) => {  // where the curves go beyond the slider
      ctx.fillStyle = "rgba(0,0,0,.06)";
      ctx.fillRect(x - 9, over.y, 18, over.h);
      text(ctx, ["\u03c4\u21920", "\u03c4\u2192\u221e"][end], x, over.y + over.h + 24, { size: 11, colour: MUTED, align: "center", base: "top" });
    });
    [
      ["entropy / its maximum", NEGATIVE, [], "o"],
      ["hard negatives' share", HARD, [8, 3], "D"],
      ["positive's share of the pull", POSITIVE, [2, 3], "^"],
      ["q = 1 \u2212 P(positive)", INVERSE, [8, 3, 2, 3], "s"],
    ].forEach(([name, colour, dash, marker], row) => {
      line(ctx, Array.from({ length: steps }, (_, i) => [curves.x(data.temperatures[i]), curves.y(data.curves[row * steps + i])]), colour, { dash });
      scatter(ctx, [at], [curves.y(data.now[row])], [0], [{ colour, marker }], { radius: 5, alpha: 1 });
      scatter(ctx, beyond, [0, 1].map((end) => curves.y(data.limits[2 * row + end])), [0, 0],
        [{ colour, marker }], { radius: 4, alpha: 0.75 });
      const x = over.x + (row % 2) * (across / 2 + 6), y = over.y - (row < 2 ? 36 : 18);
      line(ctx, [[x, y], [x + 20, y]], colour, { dash, width: 2.5 });
      text(ctx, name, x + 25, y + 4, { size: 11.5 });
    });
    text(ctx, "The same over all temperatures", over.x, over.y - 52, { size: 13, weight: 600 });
    const share = axes(ctx, batch, {
      title: "q: what NT-Xent keeps of DCL's gradient", x: [data.counts[0], data.counts.at(-1)], y: [0, 1], log: true,
      xticks: [2, 10, 100, 1000], yticks: [0, 0.5, 1], xlabel: "number of negatives (log scale)",
    });
    line(ctx, [[batch.x, share.y(1)], [batch.x + batch.w, share.y(1)]], INK, { dash: [6, 3], width: 1.5 });
    text(ctx, "DCL: 1 for any batch", batch.x + 4, share.y(1) + 14, { size: 11 });
    line(ctx, Array.from(data.decoupling, (q, i) => [share.x(data.counts[i]), share.y(q)]), INVERSE, { dash: [8, 3, 2, 3] });
    const here = [Math.min(share.x(count), batch.x + batch.w), share.y(data.now[3])];
    line(ctx, [here, [here[0], share.y(1)]], INVERSE, { width: 1 });
    scatter(ctx, [here[0]], [here[1]], [0], [{ colour: INVERSE, marker: "s" }], { radius: 5, alpha: 1 });
    text(ctx, `here ${data.now[3].toFixed(2)}`, here[0] + 9, here[1] + (data.now[3] < 0.25 ? -6 : 12), { weight: 600, size: 11.5 });
    return {
      x: data.weights.map((_, i) => weights.x(i + 0.5)), y: data.weights.map((value) => weights.y(value)),
      tip: (i) => ({ lines: [`negative ${i + 1} of ${count}`, `similarity ${short(data.similarities[i])}`,
        `weight ${short(data.weights[i])}`] }),
    };
  },
};
