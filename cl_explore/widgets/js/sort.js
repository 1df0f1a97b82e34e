// Left: ribbons from every score to the ranks it lands at. Middle: the same as a matrix. Right: what the loss makes of it.

const POSITIVE = "#009E73", NEGATIVE = "#0072B2";

const panel = {
  height: (width) => (width < 620 ? 1150 : 400),
  draw(ctx, width, height, data) {
    const narrow = width < 620, count = data.scores.length, own = (i) => i >= data.negatives;
    const colour = (i) => (own(i) ? POSITIVE : NEGATIVE), marker = (i) => (own(i) ? "s" : "o");
    const name = (i) => (own(i) ? `p${count - data.negatives > 1 ? i - data.negatives + 1 : ""}` : `n${i + 1}`);
    const third = narrow ? width : width / 3, room = narrow ? 300 : 320;

    // Scores on the left stand at their height, the softly sorted ones on the right at theirs.
    const flow = { x: 56, y: 44, w: third - 100, h: room };
    const axis = axes(ctx, flow, { title: "Score \u2192 rank after the sort", x: [0, 1], y: [-1, 1], xticks: [], ylabel: "cosine with the anchor" });
    ctx.globalAlpha = 0.5;
    const order = [...Array(count).keys()];
    for (const i of order) for (const j of order) {
      const share = data.permutation[i * count + j];
      if (share < 0.02) continue;
      const from = axis.y(data.scores[i]), to = axis.y(data.sorted[j]), a = flow.x + 8, b = flow.x + flow.w - 8, mid = (a + b) / 2;
      ctx.beginPath();
      ctx.moveTo(a, from);
      ctx.bezierCurveTo(mid, from, mid, to, b, to);
      ctx.strokeStyle = colour(i);
      ctx.lineWidth = 13 * share;
      ctx.stroke();
    }
    ctx.globalAlpha = 1;
    const xs = order.map(() => flow.x + 8), ys = order.map((i) => axis.y(data.scores[i]));
    order.forEach((i) => scatter(ctx, [xs[i]], [ys[i]], [0], [{ colour: colour(i), marker: marker(i) }], { radius: 6, alpha: 1 }));
    // Names give way to each other where scores are close.
    let free = -Infinity;
    [...order].sort((i, j) => data.sorted[i] - data.sorted[j]).reverse().forEach((j) => {
      const y = Math.max(free + 13, axis.y(data.sorted[j]));
      free = y;
      text(ctx, own(j) ? `rank ${j + 1} \u25a0` : `rank ${j + 1}`, flow.x + flow.w - 2, y, { size: 11, base: "middle", colour: own(j) ? "#00694d" : MUTED, weight: own(j) ? 600 : 400 });
    });

    const cell = Math.min(room - 30, third - 56) / count;
    const matrix = { x: narrow ? 56 : third + 46, y: narrow ? room + 150 : 72, w: cell * count, h: cell * count };
    text(ctx, "Share of each input at each rank", matrix.x - 20, matrix.y - 38, { size: 13, weight: 600 });
    heat(ctx, matrix, data.permutation, count);
    order.forEach((i) => {
      text(ctx, name(i), matrix.x - 8, matrix.y + (i + 0.5) * cell, { align: "right", base: "middle", colour: own(i) ? "#00694d" : INK, weight: 600 });
      text(ctx, String(i + 1), matrix.x + (i + 0.5) * cell, matrix.y - 8, { align: "center", colour: own(i) ? "#00694d" : INK, weight: 600 });
    });
    line(ctx, [[matrix.x + data.negatives * cell - 1, matrix.y - 20], [matrix.x + data.negatives * cell - 1, matrix.y + matrix.h + 4]], INK, { width: 1.5, dash: [4, 3] });
    text(ctx, "right of the dashes: the positives\u2019 ranks", matrix.x + matrix.w, matrix.y + matrix.h + 18, { align: "right", colour: MUTED, size: 11 });

    const left = narrow ? 56 : 2 * third + 56, top = narrow ? 2 * room + 210 : 44, w = width - left - 16, h = room / 2 - 34;
    const looks = (i) => colour(i);
    const chance = axes(ctx, { x: left, y: top, w, h }, { title: "Chance of a positive\u2019s rank", x: [0, count], y: [0, 1], xticks: [] });
    bars(ctx, chance, data.chance, looks);
    const most = [0.05, 0.1, 0.2, 0.5, 1, 2, 5].find((limit) => Math.max(...data.pull.map(Math.abs)) <= limit) ?? 10;
    const below = { x: left, y: top + room / 2 + 28, w, h };
    const pull = axes(ctx, below, { title: "Force on the score", x: [0, count], y: [-most, most], xticks: [] });
    bars(ctx, pull, data.pull, looks);
    line(ctx, [[left, pull.y(0)], [left + w, pull.y(0)]], INK, { width: 1 });
    order.forEach((i) => [[chance, top + h], [pull, below.y + h]].forEach(([scale, base]) =>
      text(ctx, name(i), scale.x(i + 0.5), base + 7, { size: 11, align: "center", base: "top", colour: MUTED })));
    return {
      x: xs, y: ys,
      tip: (i) => ({ lines: [`${own(i) ? "positive" : "negative"} ${name(i)}, cosine ${short(data.scores[i])}`,
        `chance of a positive\u2019s rank ${short(data.chance[i])}`, `force ${short(data.pull[i])}`] }),
    };
  },
};
