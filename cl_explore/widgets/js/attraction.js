// Left: the anchor and what it listens to. Right: weights and forces over the distance.

const POSITIVE = { colour: "#009E73", marker: "s" }, NEGATIVE = { colour: "#0072B2", marker: "o" }, ANCHOR = { colour: "#000000", marker: "*" };

const panel = {
  height: (width) => (width < 620 ? Math.round(width) + 510 : 480),
  draw(ctx, width, height, data) {
    const narrow = width < 620, size = narrow ? width : 0.48 * width, count = data.cost.length;
    const group = Array.from(data.cost, (_, i) => (i < data.positives ? 0 : 1)), looks = [POSITIVE, NEGATIVE];
    const x0 = size / 2, y0 = (narrow ? 12 : 24) + size / 2, radius = size / 2 - 34;
    // The positives have a ring of their own, or a negative at the same angle would hide one.
    const reach = (i) => radius * (group[i] ? 1 : 0.9);
    const xs = group.map((_, i) => x0 + reach(i) * data.points[2 * i]), ys = group.map((_, i) => y0 - reach(i) * data.points[2 * i + 1]);
    const angles = Array.from({ length: 73 }, (_, i) => (i * Math.PI) / 36);
    for (const r of [radius, 0.9 * radius]) line(ctx, angles.map((a) => [x0 + r * Math.cos(a), y0 + r * Math.sin(a)]), "#bdbdbd", { width: 1 });
    ctx.globalAlpha = 0.75;
    group.forEach((kind, i) => line(ctx, [[x0, y0 - radius], [xs[i], ys[i]]], looks[kind].colour, { width: Math.max(0.4, 18 * data.weight[i]) }));
    ctx.globalAlpha = 1;
    scatter(ctx, xs, ys, group, looks, { radius: 6, alpha: 1 });
    scatter(ctx, [x0], [y0 - radius], [0], [ANCHOR], { radius: 9, alpha: 1 });
    text(ctx, "Thickness: weight of the pair", 8, 18, { size: 13, weight: 600 });
    legend(ctx, x0 - 44, y0 + 0.22 * radius, [ANCHOR, POSITIVE, NEGATIVE], ["anchor", "positives", "negatives"]);

    const left = narrow ? 56 : size + 66, top = narrow ? size + 66 : 44, w = width - left - 22;
    const high = { x: left, y: top, w, h: 156 }, low = { x: left, y: top + 224, w, h: 156 };
    const order = [...data.cost.keys()].sort((a, b) => data.cost[a] - data.cost[b]);
    const course = (axis, values) => [0, 1].forEach((kind) => {
      const kin = order.filter((i) => group[i] === kind);
      line(ctx, kin.map((i) => [axis.x(data.cost[i]), axis.y(values[i])]), looks[kind].colour, { width: 1.5, dash: kind ? [] : [5, 3] });
    });
    const ceiling = [0.1, 0.2, 0.5, 1].find((limit) => Math.max(...data.weight) <= limit + 1e-6) ?? 1;
    const weights = axes(ctx, high, { title: "Share among its own kind", x: [0, 4], y: [0, ceiling], ylabel: "weight" });
    course(weights, data.weight);
    scatter(ctx, data.cost.map(weights.x), data.weight.map(weights.y), group, looks, { radius: 4.4, alpha: 1 });
    const most = [0.25, 0.5, 1, 2, 5, 10].find((limit) => Math.max(...data.pull.map(Math.abs)) <= limit) ?? 20;
    const forces = axes(ctx, low, { title: "Force: above 0 the point comes nearer", x: [0, 4], y: [-most, most],
      xlabel: "squared distance to the anchor", ylabel: "force" });
    line(ctx, [[low.x, forces.y(0)], [low.x + w, forces.y(0)]], INK, { width: 1 });
    course(forces, data.pull);
    scatter(ctx, data.cost.map(forces.x), data.pull.map(forces.y), group, looks, { radius: 4.4, alpha: 1 });
    return {
      x: xs, y: ys,
      tip: (i) => ({ lines: [group[i] ? `negative ${i - data.positives + 1}` : `positive ${i + 1}`,
        `squared distance ${short(data.cost[i])}`, `weight ${short(data.weight[i])}`, `force ${short(data.pull[i])}`] }),
    };
  },
};
