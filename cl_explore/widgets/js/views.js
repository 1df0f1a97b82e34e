// Left: images and their views. Right: what their number does to the embedding and to the gradient.

const DASHES = [[], [7, 3], [2, 3], [8, 3, 2, 3]], KINDS = ["o", "s", "^", "D"];

const panel = {
  height: (width) => (width < 620 ? Math.round(790 + 0.55 * width) : 510),
  draw(ctx, width, height, data) {
    const narrow = width < 620, half = narrow ? width - 8 : 0.46 * width, most = data.counts.at(-1);
    const cell = Math.floor((half - 30) / (most + 1)), side = Math.sqrt(data.pixels.length / (data.shown * (most + 1)));
    text(ctx, `Five images, and ${data.views} views of each`, 8, 20, { size: 13, weight: 600 });
    const dot = Math.floor((cell - 4) / side);
    for (let image = 0; image < data.shown; image++) for (let view = 0; view <= most; view++) {
      const x = 8 + view * cell + (view ? 12 : 0), y = 32 + image * cell, start = (image * (most + 1) + view) * side * side;
      ctx.globalAlpha = view > data.views ? 0.12 : 1;  // views not used stay as ghosts
      for (let i = 0; i < side * side; i++) {
        const grey = Math.round(data.pixels[start + i]);
        ctx.fillStyle = `rgb(${grey},${grey},${grey})`;
        ctx.fillRect(x + (i % side) * dot, y + Math.floor(i / side) * dot, dot, dot);
      }
    }
    ctx.globalAlpha = 1;
    const looks = data.names.map((name, i) => ({ name, colour: data.colours[i], marker: KINDS[i % 4], dash: DASHES[i % 4] }));
    const lines = (axis, xs, row, length) => looks.forEach(({ colour, marker, dash }, i) => {
      const values = row.subarray(i * length, (i + 1) * length);
      curve(ctx, axis, xs, values, colour, { dash });
      scatter(ctx, Array.from(xs, (x) => axis.x(x)), Array.from(values, (v) => axis.y(v)), Array.from(xs, () => 0), [{ colour, marker }], { radius: 4, alpha: 1 });
    });
    const mark = (axis, box) => line(ctx, [[axis.x(data.views), box.y], [axis.x(data.views), box.y + box.h]], INK, { width: 1 });

    const under = 32 + data.shown * cell + 44, left = narrow ? 56 : half + 62, w = width - left - 18, h = 160;
    const spectrum = { x: 56, y: under, w: half - 70, h: narrow ? 150 : height - under - 44 };
    const rank = { x: left, y: narrow ? under + 262 : 58, w, h }, noise = { x: left, y: rank.y + h + 78, w, h };
    const size = Math.ceil(20 * Math.max(...data.spectrum)) / 20;
    const values = axes(ctx, spectrum, { title: `Singular values of the embedding, ${data.views} views`, x: [1, data.dim], y: [0, size],
      xticks: [1, 4, 8, 12, 16], xlabel: "direction, strongest first", ylabel: "share" });
    lines(values, Array.from({ length: data.dim }, (_, i) => i + 1), data.spectrum, data.dim);
    const few = Math.floor(Math.min(...data.rank)), many = Math.min(data.dim, Math.ceil(Math.max(...data.rank) + 0.2));
    const ranks = axes(ctx, rank, { title: `Effective rank of the embedding, of ${data.dim}`, x: [1.5, 8.5], y: [few, many], xticks: data.counts });
    mark(ranks, rank);
    lines(ranks, data.counts, data.rank, data.counts.length);
    const top = [0.1, 0.2, 0.5, 1, 2, 5].find((limit) => Math.max(...data.noise) <= limit) ?? 10;
    const noises = axes(ctx, noise, { title: "Noise of the gradient / its length", x: [1.5, 8.5], y: [0, top], xticks: data.counts, xlabel: "views of a sample, V" });
    mark(noises, noise);
    lines(noises, data.counts, data.noise, data.counts.length);
    let at = narrow ? 16 : left;
    for (const look of looks) {
      keys(ctx, at, rank.y - 44, [look]);
      at += 38 + ctx.measureText(look.name).width;
    }
  },
};
