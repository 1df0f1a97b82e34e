// One snapshot of a run as a map, with its legend or colour scale, the image under the pointer, and what was chosen:
// a sample with its nearest neighbours, or a group of samples with its statistics.

const NEIGHBOURS = 6;

// Without a kernel the page itself finds neighbours and statistics, in the rounded unit vectors that came with it.
function vectors({ unit, width }) {
  const count = unit.length / width, x = new Float32Array(unit.length);
  for (let i = 0; i < count; i++) {
    let square = 0;
    for (let j = i * width; j < (i + 1) * width; j++) square += unit[j] ** 2;
    for (let j = i * width; j < (i + 1) * width; j++) x[j] = unit[j] / Math.sqrt(square || 1);
  }
  return x;
}
function neighbours(x, width, chosen) {
  const cosines = Array.from({ length: x.length / width }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < width; j++) sum += x[i * width + j] * x[chosen * width + j];
    return i === chosen ? -Infinity : sum;
  });
  const near = cosines.map((_, i) => i).sort((a, b) => cosines[b] - cosines[a]).slice(0, NEIGHBOURS);
  return { chosen, near, cosines: near.map((i) => cosines[i]) };
}
function statistics(x, width, selected, { labels, classes }) {
  const mean = new Float64Array(width), counts = new Array(classes.length).fill(0);
  let count = 0;
  selected.forEach((yes, i) => {
    if (!yes) return;
    count += 1;
    counts[labels[i]] += 1;
    for (let j = 0; j < width; j++) mean[j] += x[i * width + j];
  });
  const square = mean.reduce((sum, value) => sum + (value / count) ** 2, 0);
  return { selected, count, counts, dispersion: 1 - square, similarity: count > 1 ? (count * square - 1) / (count - 1) : null };
}
function choice(data, view) {
  if (!data.unit) return data;
  if (view.unit !== data.unit.byteOffset) [view.unit, view.vectors] = [data.unit.byteOffset, vectors(data)];
  if (view.selected) return statistics(view.vectors, data.width, view.selected, data);
  return view.chosen >= 0 ? neighbours(view.vectors, data.width, view.chosen) : { chosen: -1 };
}

const full = (className) => (/^(class|unlabelled)/.test(className) ? className : `class ${className}`);
const name = (data, i) => full(data.classes[data.labels[i]]);
const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

function sentence(data, { selected, count, counts, dispersion, similarity, chosen, near, cosines }) {
  if (selected) {
    const most = counts.indexOf(Math.max(...counts));
    return `${count} samples selected, ${percent(counts[most] / count)} of them ${full(data.classes[most])}; dispersion `
      + `${short(dispersion)}${similarity === null ? "" : `, mean cosine ${short(similarity)}`}.`;
  }
  if (chosen < 0) return "";
  const others = Array.from(near, (i, place) => `${name(data, i)} (${short(cosines[place])})`);
  return `Sample ${data.index[chosen]}, ${name(data, chosen)}: nearest in all dimensions are ${others.join(", ")}.`;
}

// The chosen sample's neighbours as small pictures, or as lines of text where there are none.
function drawNeighbours(ctx, x, y, data, view, { near, cosines }) {
  text(ctx, "nearest, by cosine", x, y, { size: 13, weight: 600 });
  Array.from(near).forEach((i, place) => {
    const tile = picture(data, view, i), left = x + 58 * (place % 3), top = y + 12 + 72 * Math.floor(place / 3);
    if (!tile) {
      scatter(ctx, [x + 6], [y + 20 + 19 * place], [0], [classLook(data, i)], { radius: 5, alpha: 1 });
      return text(ctx, `${name(data, i)}  ${short(cosines[place])}`, x + 18, y + 20 + 19 * place, { base: "middle" });
    }
    ctx.imageSmoothingEnabled = false;
    ctx.drawImage(tile.sheet, tile.x, tile.y, tile.w, tile.h, left, top, 50, (50 * tile.h) / tile.w);
    scatter(ctx, [left + 6], [top + 59], [0], [classLook(data, i)], { radius: 4, alpha: 1 });
    text(ctx, cosines[place].toFixed(2), left + 14, top + 59, { size: 11, base: "middle" });
  });
}
const classLook = (data, i) => (data.names.length ? data.looks[data.labels[i]] : { colour: MUTED, marker: "o" });

function drawStatistics(ctx, x, y, wide, data, { count, counts, dispersion, similarity }) {
  text(ctx, `${count} selected`, x, y, { size: 13, weight: 600 });
  const order = Array.from(counts).map((_, place) => place).filter((place) => counts[place]).sort((a, b) => counts[b] - counts[a]);
  order.slice(0, 5).forEach((place, row) => {
    const share = counts[place] / count, top = y + 22 + 20 * row, look = data.names.length ? data.looks[place] : { colour: MUTED, marker: "o" };
    ctx.fillStyle = "#eef1f4";
    ctx.fillRect(x, top - 9, wide, 17);
    ctx.fillStyle = `${look.colour}55`;
    ctx.fillRect(x, top - 9, wide * share, 17);
    if (data.names.length) scatter(ctx, [x + 8], [top], [0], [look], { radius: 4.5, alpha: 1 });
    text(ctx, data.classes[place], x + 18, top, { base: "middle" });
    text(ctx, percent(share), x + wide - 4, top, { base: "middle", align: "right", weight: 600 });
  });
  const below = y + 34 + 20 * Math.min(5, order.length);
  [["dispersion", dispersion], ["mean cosine", similarity]].forEach(([label, value], row) => {
    text(ctx, label, x, below + 18 * row, { colour: MUTED });
    text(ctx, value === null ? "\u2013" : short(value), x + wide - 4, below + 18 * row, { align: "right", weight: 600 });
  });
}

const panel = {
  height: (width) => (width < 560 ? width + 330 : Math.min(540, Math.max(500, 0.62 * width))),
  draw(ctx, width, height, data, view) {
    const narrow = width < 560, column = 184, map = { x: 16, y: 12, w: width - (narrow ? 32 : column + 36), h: (narrow ? width : height) - 46 };
    const x = narrow ? 16 : width - column, wide = column - 8, y = narrow ? width + 10 : 24;
    const { xs, ys, depth, pixel } = place(map, data, view), chosen = choice(data, view);
    const linked = new Set(chosen.chosen >= 0 ? [chosen.chosen, ...chosen.near] : []);
    cloud(ctx, map, { xs, ys, depth }, data, {
      radius: size(xs.length), fade: linked.size ? 0.4 : 1, strong: chosen.selected ? (i) => chosen.selected[i] : undefined,
    });
    frame(ctx, map, data, pixel);
    const below = key(ctx, x, y, data, Math.floor((height - y - 240) / 19));
    const side = narrow ? [width / 2 + 8, y] : [x, below + 18];
    if (chosen.selected) drawStatistics(ctx, ...side, wide, data, chosen);
    else if (chosen.chosen >= 0) {
      const from = [xs[chosen.chosen], ys[chosen.chosen]];
      for (const i of chosen.near) line(ctx, [from, [xs[i], ys[i]]], INK, { width: 1.2 });
      for (const i of linked) scatter(ctx, [xs[i]], [ys[i]], [0], [data.looks[data.group[i]]], { radius: i === chosen.chosen ? 8 : 6, alpha: 1 });
      drawNeighbours(ctx, ...side, data, view, chosen);
    } else ["click: nearest neighbours", data.dim === 2 ? "draw round points:" : "Shift and draw:", "statistics of the selection"]
      .forEach((hint, row) => text(ctx, hint, side[0], side[1] + 17 * row, { colour: MUTED, size: 12 }));
    view.say(sentence(data, chosen));
    view.key = data.names.length ? { x, y: y + 18 } : null;
    return {
      x: xs, y: ys,
      tip: (i) => ({
        lines: [name(data, i), `sample ${data.index[i]}`, ...(data.scale ? [`${data.colour} ${short(data.values[i])}`]
          : data.colour === "class" ? [] : [`${data.colour}: ${data.names[Math.round(data.values[i])]}`])],
        image: picture(data, view, i),
      }),
    };
  },
  turns: (data) => data.dim === 3,
  drag: turn,
  press(view, data, { i, x, y }, send) {
    const row = view.key && i < 0 && x >= view.key.x ? Math.round((y - view.key.y) / 19) : -1;
    if (row >= 0 && row < data.names.length) {
      if (send) return send({ show: row });
      const mask = Array.from(data.labels, (label) => label === row);
      return Object.assign(view, { chosen: -1, selected: mask.every((yes, j) => yes === view.selected?.[j]) ? null : mask });
    }
    if (send) return send({ near: i });
    Object.assign(view, { chosen: i, selected: null });
  },
  lasso(view, data, rows, send) {
    if (send) return send({ select: rows });
    const mask = new Array(data.labels.length).fill(false);
    for (const i of rows) mask[i] = true;
    Object.assign(view, { chosen: -1, selected: rows.length ? mask : null });
  },
};
