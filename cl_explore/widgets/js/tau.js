// Left: the temperature of every sample over the size of its class. Right: class means over training, and nats.

const panel = {
  height: (width) => (width < 620 ? 970 : 480),
  draw(ctx, width, height, data) {
    const narrow = width < 620, half = narrow ? width : 0.52 * width, left = narrow ? 56 : half + 56, w = width - left - 18;
    const main = { x: 56, y: 34, w: half - 76, h: narrow ? 300 : 390 }, top = narrow ? 420 : 34;
    const high = { x: left, y: top, w, h: narrow ? 210 : 170 }, low = { x: left, y: top + (narrow ? 290 : 248), w, h: narrow ? 210 : 142 };
    const count = data.group.length, classes = data.sizes.length, steps = data.shots;
    const mean = (c, s) => data.means[c * steps + s], most = Math.max(...data.sizes);
    const ceiling = [0.2, 0.4, 0.6, 0.8, 1].find((limit) => Math.max(...data.temperature) <= limit + 1e-6) ?? 1;

    const wide = most > 1.05 * Math.min(...data.sizes);
    const axis = axes(ctx, main, { title: "Temperatures of samples, and class means", log: true, x: [2, 90], y: [0, ceiling],
      xticks: [3, 5, 10, 20, 40, 60], xlabel: "samples in the class (log scale)", ylabel: "temperature \u03c4" });
    // Dots of one class stand side by side about its size: by a step of the golden section, so that they spread evenly.
    const lane = (i) => (wide ? 0.07 : 1.4) * (((i * 0.618) % 1) - 0.5);
    const xs = data.group.map((c, i) => axis.x(data.sizes[c] * Math.exp(lane(i)))), ys = data.temperature.map((t) => axis.y(t));
    scatter(ctx, xs, ys, data.group, data.looks, { radius: 2.6, alpha: 0.55 });
    const order = [...Array(classes).keys()].sort((a, b) => data.sizes[a] - data.sizes[b]);
    if (wide) line(ctx, order.map((c) => [axis.x(data.sizes[c]), axis.y(mean(c, data.shot))]), INK, { width: 1.2, dash: [4, 3] });
    const looks = order.map((c) => data.looks[c]);
    scatter(ctx, order.map((c) => axis.x(data.sizes[c])), order.map((c) => axis.y(mean(c, data.shot))), order.map((_, i) => i), looks, { radius: 7.5, alpha: 1 });

    const course = axes(ctx, high, { title: "Class means over training", x: [0, data.steps.at(-1)], y: [0, ceiling], xlabel: "steps" });
    const at = course.x(data.steps[data.shot]);
    line(ctx, [[at, high.y], [at, high.y + high.h]], INK, { width: 1 });
    for (const c of order) curve(ctx, course, data.steps, Array.from(data.steps, (_, s) => mean(c, s)), data.looks[c].colour, { width: 1.8 });
    for (const c of order) scatter(ctx, [at], [course.y(mean(c, data.shot))], [0], [data.looks[c]], { radius: 4.5, alpha: 1 });
    if (wide) [[order.at(-1), "most frequent"], [order[0], "rarest"]].forEach(([c, name], row) => {
      const y = high.y + high.h - 34 + 19 * row;
      scatter(ctx, [high.x + high.w - 150], [y], [0], [data.looks[c]], { radius: 5, alpha: 1 });
      text(ctx, `${name}: ${data.sizes[c]}`, high.x + high.w - 138, y, { base: "middle" });
    });

    const reach = [0.2, 0.5, 1, 2, 4].find((limit) => Math.max(data.rho, ...data.nats) <= limit) ?? 6;
    const nats = axes(ctx, low, { title: "Nats in the weights of the negatives", log: true, x: [2, 90], y: [0, reach],
      xticks: [3, 5, 10, 20, 40, 60], xlabel: "samples in the class", ylabel: "nats" });
    scatter(ctx, data.group.map((c, i) => nats.x(data.sizes[c] * Math.exp(lane(i)))), data.nats.map((v) => nats.y(v)), data.group, data.looks, { radius: 2.2, alpha: 0.5 });
    line(ctx, [[low.x, nats.y(data.rho)], [low.x + w, nats.y(data.rho)]], INK, { width: 1.5, dash: [6, 3] });
    text(ctx, "\u03c1", low.x + 6, nats.y(data.rho) - 5, { weight: 600 });
    return {
      x: xs, y: ys,
      tip: (i) => ({ lines: [`class ${data.group[i]}, ${data.sizes[data.group[i]]} samples`, `temperature ${short(data.temperature[i])}`,
        `${short(data.nats[i])} nats`] }),
    };
  },
};
