// Left: the target over confidence and the temperatures it gives a batch. Right: the batch, and its spread over epsilon.

const CURVE = "#0072B2", MANY = "#797186", REST = "#D55E00";

const panel = {
  height: (width) => (width < 620 ? 1130 : 560),
  draw(ctx, width, height, data) {
    const narrow = width < 620, half = narrow ? width : 0.52 * width, right = narrow ? 0 : half, below = narrow ? 560 : 0;
    const main = { x: 56, y: 30, w: half - 80, h: 270 }, low = { x: 56, y: 396, w: half - 80, h: 108 };
    const side = { x: right + 16, y: below + 26, size: 288 }, last = { x: right + (narrow ? 56 : 62), y: below + 396, w: width - right - 80, h: 108 };

    const axis = axes(ctx, main, {
      title: "Target of the true class against confidence", x: [0, 1], y: [0.4, 1], xlabel: "confidence p", ylabel: "target q",
    });
    ctx.save();
    ctx.beginPath();
    ctx.rect(main.x, main.y - 6, main.w + 6, main.h + 6);
    ctx.clip();
    line(ctx, [[axis.x(0.5), axis.y(0)], [axis.x(1), axis.y(1)]], "#9a9a9a", { width: 1, dash: [2, 3] });
    curve(ctx, axis, data.probes, data.many, MANY, { dash: [6, 4] });
    curve(ctx, axis, data.probes, data.target, CURVE, { width: 2.5 });
    if (data.manyRest) scatter(ctx, [axis.x(data.manyRest[0])], [axis.y(data.manyRest[1])], [0], [{ colour: MANY, marker: "D" }], { radius: 5 });
    if (data.rest) scatter(ctx, [axis.x(data.rest[0])], [axis.y(data.rest[1])], [0], [{ colour: REST, marker: "D" }], { radius: 8, alpha: 1 });
    const xs = data.confidences.map((p) => axis.x(p)), ys = data.targets.map((q) => axis.y(q));
    scatter(ctx, xs, ys, data.group, data.looks, { radius: 3.2, alpha: 0.85 });
    ctx.restore();
    keys(ctx, main.x + 12, main.y + main.h - 66, [{ name: `${data.classes} classes`, colour: CURVE },
      { name: "100 classes", colour: MANY, dash: [6, 4] }, { name: "p = (1 + q) / 2", colour: "#9a9a9a", dash: [2, 3] }]);
    scatter(ctx, [main.x + 22], [main.y + main.h - 14], [0], [{ colour: REST, marker: "D" }], { radius: 6, alpha: 1 });
    text(ctx, "an anchor rests; dots: the batch", main.x + 38, main.y + main.h - 14, { base: "middle" });

    const count = data.histogram.length, most = data.group.length, unit = (data.span[1] - data.span[0]) / count;
    const bins = axes(ctx, low, { title: "\u03c4\u2082 of the batch, between \u03c4\u2081 \u2212 \u03b5 and \u03c4\u2081 + \u03b5", x: [0, count], y: [0, most], xticks: [],
      ylabel: "samples" });
    const bin = (value) => bins.x((value - data.span[0]) / unit);
    ctx.fillStyle = "rgba(0,114,178,.09)";
    ctx.fillRect(bin(data.room[0]), low.y, Math.max(2, bin(data.room[1]) - bin(data.room[0])), low.h);
    bars(ctx, bins, data.histogram, () => CURVE);
    for (const value of [data.span[0], (data.span[0] + data.span[1]) / 2, data.span[1]])
      text(ctx, short(value), bin(value), low.y + low.h + 7, { size: 11, colour: MUTED, align: "center", base: "top" });
    text(ctx, "\u03c4\u2082", low.x + low.w / 2, low.y + low.h + 24, { align: "center", base: "top", colour: MUTED });

    const x0 = side.x + (width - right - 32) / 2, y0 = side.y + 12 + side.size / 2, radius = side.size / 2.2;
    text(ctx, `Points and centroids after ${data.step} steps`, narrow ? 16 : last.x, side.y - 6, { size: 13, weight: 600 });
    const angles = Array.from({ length: 73 }, (_, i) => (i * Math.PI) / 36);
    line(ctx, angles.map((a) => [x0 + radius * Math.cos(a), y0 + radius * Math.sin(a)]), GRID, { width: 1 });
    const px = data.group.map((_, i) => x0 + radius * data.points[2 * i]), py = data.group.map((_, i) => y0 - radius * data.points[2 * i + 1]);
    const corners = Array.from({ length: data.means.length / 2 }, (_, i) => i);
    arrows(ctx, corners.map(() => x0), corners.map(() => y0), corners.map((i) => radius * data.means[2 * i]), corners.map((i) => -radius * data.means[2 * i + 1]));
    scatter(ctx, px, py, data.group, data.looks, { radius: 4.2, alpha: 0.85 });
    text(ctx, "in 16 dimensions; corners pull by cosine to centroid", narrow ? 16 : last.x, side.y + side.size + 34, { size: 11, colour: MUTED });

    const top = [0.1, 0.2, 0.5, 1].find((limit) => Math.max(...data.within) <= limit) ?? 2;
    const spread = axes(ctx, last, { title: "Within-class spread after as many steps", x: [0, data.epsilons.at(-1)], y: [0, top],
      xticks: [0, 0.03, 0.06, 0.09], xlabel: "adaptation range \u03b5" });
    curve(ctx, spread, data.epsilons, data.within, CURVE);
    scatter(ctx, data.epsilons.map((e) => spread.x(e)), data.within.map((v) => spread.y(v)), data.within.map(() => 0), [{ colour: CURVE, marker: "o" }], { radius: 3 });
    scatter(ctx, [spread.x(data.epsilon)], [spread.y(data.now)], [0], [{ colour: REST, marker: "o" }], { radius: 6, alpha: 1 });
    return {
      x: px, y: py,
      tip: (i) => ({ lines: [`class ${data.group[i]}`, `confidence ${short(data.confidences[i])}`, `target ${short(data.targets[i])}`] }),
    };
  },
};
