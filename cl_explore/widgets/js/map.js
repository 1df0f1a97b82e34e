// A map of embedded samples, flat or in three dimensions, with its legend: what panels of trained networks share.

const FEW = 500;  // points up to which each is a smooth path; more are stamped into pixels, twenty times as fast

// Where the points are on the canvas. A flat map has limits [left, right, bottom, top], one in depth two more and turns.
function place(box, { points, dim, limits }, view) {
  const count = points.length / dim, xs = new Float32Array(count), ys = new Float32Array(count), depth = new Float32Array(count);
  const middle = (axis) => (limits[2 * axis] + limits[2 * axis + 1]) / 2, span = (axis) => limits[2 * axis + 1] - limits[2 * axis];
  const put = (from) => (dim === 2 ? [from[0] - middle(0), from[1] - middle(1), 0]
    : turned([from[0] - middle(0), from[1] - middle(1), from[2] - middle(2)], view));
  // One unit is the same length on all axes, or distances would lie.
  const reach = dim === 2 ? [span(0), span(1)] : [1.25, 1.5].map((room) => room * Math.max(span(0), span(1), span(2)));
  const unit = Math.min(box.w / reach[0], box.h / reach[1]), x0 = box.x + box.w / 2, y0 = box.y + box.h / 2;
  const pixel = (from) => {
    const [x, y, z] = put(from);
    return [x0 + unit * x, y0 - unit * y, unit * z];
  };
  for (let i = 0; i < count; i++) [xs[i], ys[i], depth[i]] = pixel(points.subarray(dim * i, dim * i + dim));
  return { xs, ys, depth, pixel };
}

// The frame of a flat map with the names of its axes, or the cube round a map in depth.
function frame(ctx, box, { dim, limits, axes }, pixel) {
  if (dim === 2) {
    ctx.lineWidth = 1;
    ctx.strokeStyle = GRID;
    ctx.strokeRect(box.x, box.y, box.w, box.h);
    text(ctx, axes[0], box.x + box.w / 2, box.y + box.h + 8, { align: "center", base: "top", colour: MUTED });
    ctx.save();
    ctx.translate(box.x - 5, box.y + box.h / 2);
    ctx.rotate(-Math.PI / 2);
    text(ctx, axes[1], 0, 0, { align: "center", colour: MUTED });
    ctx.restore();
    return;
  }
  const corner = (bits) => pixel([0, 1, 2].map((axis) => limits[2 * axis + ((bits >> axis) & 1)]));
  for (let from = 0; from < 8; from++) for (const bit of [1, 2, 4]) if (!(from & bit))
    line(ctx, [corner(from), corner(from | bit)], from ? "#dcdcdc" : MUTED, { width: 1 });
  axes.forEach((name, axis) => {
    const [x, y] = corner(1 << axis), centre = box.x + box.w / 2;
    text(ctx, name, x, y + (axis === 1 ? -8 : 14), { size: 11, colour: MUTED, align: x > centre + 60 ? "right" : x < centre - 60 ? "left" : "center" });
  });
}

// Instead of a frame, for unit vectors seen along two directions: the outline of the sphere.
function disc(ctx, box, pixel) {
  const [right, middle] = pixel([1, 0]), [left] = pixel([-1, 0]);
  ctx.beginPath();
  ctx.arc((left + right) / 2, middle, (right - left) / 2, 0, 7);
  ctx.fillStyle = "#f7f9fb";
  ctx.fill();
  ctx.strokeStyle = "#d5dbe1";
  ctx.lineWidth = 1;
  ctx.stroke();
  text(ctx, "PC 1 and PC 2 of unit vectors; the circle has radius 1", box.x + box.w / 2, box.y + box.h + 8, { align: "center", base: "top", colour: MUTED });
}

// The points of a map; those that `strong` refuses are pale. In depth, farther points are painted first and fainter.
function cloud(ctx, box, { xs, ys, depth }, { group, looks, dim }, { radius, fade = 1, strong = () => true }) {
  const layers = dim === 2 ? [[-Infinity, Infinity, 0.9]] : [[-Infinity, -0.15, 0.35], [-0.15, 0.1, 0.65], [0.1, Infinity, 0.95]];
  const pale = looks.map((look) => ({ ...look, colour: "#c9c9c9" })), some = xs.some((_, i) => !strong(i));
  for (const [low, high, alpha] of layers) {
    const here = (i) => depth[i] >= low * box.h && depth[i] < high * box.h;
    const draw = xs.length > FEW ? (...rest) => swarm(ctx, box, ...rest) : (...rest) => scatter(ctx, ...rest);
    if (some) draw(xs, ys, group, pale, { radius, alpha: 0.55 * alpha, keep: (i) => !strong(i) && here(i) });
    draw(xs, ys, group, looks, { radius, alpha: fade * alpha, keep: (i) => strong(i) && here(i) });
  }
}

// As scatter, for thousands of points: each look is drawn once and its pixels are laid down wherever a point is.
function swarm(ctx, box, xs, ys, group, looks, { radius, alpha, keep }) {
  const ratio = ctx.getTransform().a, side = Math.ceil(2 * (1.4 * radius + 1) * ratio), half = side / 2;
  const x0 = Math.round(box.x * ratio), y0 = Math.round(box.y * ratio), wide = Math.round(box.w * ratio), tall = Math.round(box.h * ratio);
  const stamps = looks.map((look) => {
    const sheet = blank(side, side, { willReadFrequently: true });
    sheet.scale(ratio, ratio);
    scatter(sheet, [half / ratio], [half / ratio], [0], [look], { radius, alpha });
    return sheet.getImageData(0, 0, side, side).data;
  });
  const image = new ImageData(wide, tall), out = image.data;
  for (let i = 0; i < xs.length; i++) {
    if (!keep(i)) continue;
    const left = Math.round(xs[i] * ratio - half) - x0, top = Math.round(ys[i] * ratio - half) - y0;
    if (left < 0 || top < 0 || left + side > wide || top + side > tall) continue;
    const from = stamps[group[i]];
    for (let row = 0, s = 0; row < side; row++) for (let column = 0, o = 4 * ((top + row) * wide + left); column < side; column++, s += 4, o += 4) {
      const cover = from[s + 3];
      if (!cover) continue;
      const under = (out[o + 3] * (255 - cover)) / 255, whole = cover + under;
      out[o] = (from[s] * cover + out[o] * under) / whole;
      out[o + 1] = (from[s + 1] * cover + out[o + 1] * under) / whole;
      out[o + 2] = (from[s + 2] * cover + out[o + 2] * under) / whole;
      out[o + 3] = whole;
    }
  }
  const sheet = blank(wide, tall);
  sheet.putImageData(image, 0, 0);
  ctx.drawImage(sheet.canvas, x0 / ratio, y0 / ratio, wide / ratio, tall / ratio);
}
const blank = (width, height, settings) => Object.assign(document.createElement("canvas"), { width, height }).getContext("2d", settings);

// The classes, or the scale of a number; gives back the height where it ends.
function key(ctx, x, y, { names, looks, colour, scale }, most) {
  text(ctx, colour, x, y, { size: 13, weight: 600 });
  if (names.length) {
    const shown = names.slice(0, most);
    legend(ctx, x, y + 18, looks, shown);
    if (names.length > shown.length) text(ctx, `and ${names.length - shown.length} more`, x + 18, y + 18 + 19 * shown.length, { base: "middle", colour: MUTED });
    return y + 18 + 19 * Math.min(names.length, most + 1);
  }
  const tall = 150, step = tall / looks.length;
  looks.forEach((look, i) => {
    ctx.fillStyle = look.colour;
    ctx.fillRect(x, y + 12 + tall - (i + 1) * step, 18, step + 0.5);
  });
  for (const [share, value] of [[0, scale[0]], [0.5, (scale[0] + scale[1]) / 2], [1, scale[1]]])
    text(ctx, short(value), x + 26, y + 12 + tall * (1 - share), { base: "middle" });
  return y + 28 + tall;
}

// Where sample i is on the sheet of small pictures, once that is loaded; `again` paints anew when it is.
function picture(data, view, i) {
  if (!data.sprite) return undefined;
  if (view.source !== data.sprite) {
    view.source = data.sprite;
    view.sheet = Object.assign(new Image(), { src: data.sprite, onload: () => view.again() });
  }
  const [w, h] = data.tile;
  return view.sheet.complete ? { sheet: view.sheet, x: (i % data.columns) * w, y: Math.floor(i / data.columns) * h, w, h } : undefined;
}

const size = (count) => (count > 3000 ? 2 : count > 600 ? 3.4 : 4.4);
