// How each kind of mark is drawn. `plot` is where: { box, theme, ratio, place(x, y, z), px(x), py(y), depth }.
// A mark that can be pointed at gives back where its items are: { xs, ys } and for boxes their { w, h } around these.

import { DASHES, line, shade, stamp, text, trace, viridis } from "./paint.js";

const MANY = 500;  // points from which each is copied from a stamp

// Pixels of all items: of x and y, and on a chart that turns also how near each is.
function pixels(mark, plot) {
  const count = mark.x.length, xs = new Float32Array(count), ys = new Float32Array(count);
  const depth = mark.z ? new Float32Array(count) : null;
  for (let i = 0; i < count; i++) {
    const at = plot.place(mark.x[i], mark.y[i], mark.z?.[i]);
    [xs[i], ys[i]] = at;
    if (depth) depth[i] = at[2];
  }
  return { xs, ys, depth };
}

function points(ctx, mark, plot) {
  const { xs, ys, depth } = pixels(mark, plot);
  const draw = (radius, alpha, keep) => {
    const looks = mark.colour.map((colour, k) => [shade(colour, plot.theme), mark.marker[k] ?? mark.marker[0]]);
    const group = (i) => (mark.group ? mark.group[i] : 0);
    if (xs.length > MANY && !mark.hollow) {
      const sheets = looks.map(([colour, marker]) => stamp(colour, marker, radius, alpha, plot.ratio));
      for (let i = 0; i < xs.length; i++) if (keep(i)) {
        const sheet = sheets[group(i)], side = sheet.width / plot.ratio;  // on whole pixels nothing needs smoothing
        const at = (value) => Math.round((value - side / 2) * plot.ratio) / plot.ratio;
        ctx.drawImage(sheet, at(xs[i]), at(ys[i]), side, side);
      }
      return;
    }
    ctx.globalAlpha = alpha;
    ctx.lineWidth = 1.6;
    looks.forEach(([colour, marker], look) => {
      ctx.beginPath();
      for (let i = 0; i < xs.length; i++)
        if (group(i) === look && keep(i) && !Number.isNaN(xs[i] + ys[i])) trace(ctx, marker, xs[i], ys[i], radius);
      ctx.strokeStyle = mark.hollow ? colour : plot.theme.paper;
      ctx.stroke();  // before the filling, or the rims of close neighbours would wipe each other out
      ctx.fillStyle = colour;
      if (!mark.hollow) ctx.fill();
    });
    ctx.globalAlpha = 1;
  };
  if (depth) draw(0.75 * mark.size, 0.3 * mark.alpha, (i) => depth[i] < 0);
  draw(mark.size, mark.alpha, depth ? (i) => depth[i] >= 0 : () => true);
  return { xs, ys };
}

function stroke(ctx, mark, plot) {
  const { xs, ys } = pixels(mark, plot), dash = DASHES[mark.dash];
  line(ctx, Array.from(xs, (x, i) => [x, ys[i]]), shade(mark.colour, plot.theme), mark.width, dash);
}

function edges(ctx, mark, plot) {
  const { xs, ys, depth } = pixels(mark, plot), alone = typeof mark.width === "number";
  ctx.strokeStyle = shade(mark.colour, plot.theme);
  ctx.setLineDash(DASHES[mark.dash]);
  ctx.beginPath();
  for (let k = 0; k < mark.pairs.length / 2; k++) {
    const width = alone ? mark.width : mark.width[k], from = mark.pairs[2 * k], to = mark.pairs[2 * k + 1];
    if (width < 0.2 || (depth && Math.min(depth[from], depth[to]) < 0)) continue;
    if (!alone) ctx.beginPath();
    ctx.moveTo(xs[from], ys[from]);
    const middle = (xs[from] + xs[to]) / 2;
    if (mark.curved) ctx.bezierCurveTo(middle, ys[from], middle, ys[to], xs[to], ys[to]);
    else ctx.lineTo(xs[to], ys[to]);
    ctx.lineWidth = width;
    if (!alone) ctx.stroke();
  }
  if (alone) ctx.stroke();
  ctx.setLineDash([]);
}

function arrows(ctx, mark, plot) {
  ctx.beginPath();
  for (let i = 0; i < mark.x.length; i++) {
    const [x, y, near] = plot.place(mark.x[i], mark.y[i], mark.z?.[i]);
    const [u, v] = plot.place(mark.x[i] + mark.dx[i], mark.y[i] + mark.dy[i], mark.z && mark.z[i] + mark.dz[i]);
    const length = Math.hypot(u - x, v - y), head = Math.min(3 + 2 * mark.width, length / 2);
    if (length < 1 || (mark.z && near < 0)) continue;
    const ux = (head * (u - x)) / length, uy = (head * (v - y)) / length;
    ctx.moveTo(x, y);
    ctx.lineTo(u, v);
    ctx.moveTo(u - ux - 0.6 * uy, v - uy + 0.6 * ux);
    ctx.lineTo(u, v);
    ctx.lineTo(u - ux + 0.6 * uy, v - uy - 0.6 * ux);
  }
  ctx.lineWidth = mark.width;
  ctx.strokeStyle = shade(mark.colour, plot.theme);
  ctx.stroke();
}

function bars(ctx, mark, plot) {
  const floor = plot.py(0), xs = new Float32Array(mark.x.length), ys = new Float32Array(mark.x.length);
  const wide = Math.abs(plot.px(mark.x[0] + mark.width) - plot.px(mark.x[0]));
  for (let i = 0; i < xs.length; i++) {
    [xs[i], ys[i]] = [plot.px(mark.x[i]), plot.py(mark.height[i])];
    ctx.fillStyle = ctx.strokeStyle = shade(mark.colour[mark.group ? mark.group[i] : 0], plot.theme);
    ctx.globalAlpha = mark.alpha * (mark.outline ? 0.25 : 1);
    ctx.fillRect(xs[i] - wide / 2, ys[i], wide, floor - ys[i]);
    ctx.globalAlpha = mark.alpha;
    ctx.lineWidth = 1.6;
    if (mark.outline && mark.height[i]) ctx.strokeRect(xs[i] - wide / 2, ys[i], wide, floor - ys[i]);
  }
  return { xs, ys: ys.map((y) => (y + floor) / 2), w: wide, h: ys.map((y) => Math.abs(floor - y)) };
}

function heat(ctx, mark, plot) {
  const count = mark.values.length, xs = new Float32Array(count), ys = new Float32Array(count);
  const w = Math.abs(plot.px(1) - plot.px(0)), h = Math.abs(plot.py(1) - plot.py(0));
  for (let i = 0; i < count; i++) {
    const share = (mark.values[i] - mark.low) / (mark.high - mark.low);
    [xs[i], ys[i]] = [plot.px((i % mark.columns) + 0.5), plot.py(Math.floor(i / mark.columns) + 0.5)];
    ctx.fillStyle = viridis(share);
    ctx.fillRect(xs[i] - w / 2, ys[i] - h / 2, w - (w > 8), h - (h > 8));
    if (mark.text && w > 28 && h > 12) text(ctx, mark.values[i].toFixed(2), xs[i], ys[i],
      { size: 11, align: "center", colour: share > 0.6 ? "#222" : "#fff" });
  }
  return { xs, ys, w, h: new Float32Array(count).fill(h) };
}

function images(ctx, mark, plot) {
  const count = mark.x.length, dots = mark.tall * mark.wide, depth = mark.pixels.length / (count * dots);
  const w = Math.abs(plot.px(mark.x[0] + mark.side) - plot.px(mark.x[0])), h = (w * mark.tall) / mark.wide;
  const sheet = document.createElement("canvas"), data = new ImageData(mark.wide, mark.tall);
  [sheet.width, sheet.height] = [mark.wide, mark.tall];
  const xs = mark.x.map(plot.px), ys = mark.y.map(plot.py), brush = sheet.getContext("2d");
  ctx.imageSmoothingEnabled = false;  // an 8 x 8 digit is best seen as its pixels
  for (let i = 0; i < count; i++) {
    for (let dot = 0; dot < dots; dot++) for (let c = 0; c < 4; c++)
      data.data[4 * dot + c] = c === 3 ? 255 : mark.pixels[(i * dots + dot) * depth + (depth === 3 ? c : 0)];
    brush.putImageData(data, 0, 0);
    ctx.globalAlpha = mark.alpha * (mark.shade ? mark.shade[i] : 1);
    ctx.drawImage(sheet, xs[i] - w / 2, ys[i] - h / 2, w, h);
  }
  return { xs, ys, w, h: new Float32Array(count).fill(h) };
}

function rule(ctx, mark, { box, px, py, theme }) {
  const upright = mark.x !== undefined, at = upright ? px(mark.x) : py(mark.y), colour = shade(mark.colour, theme);
  const ends = upright ? [[at, box.y], [at, box.y + box.h]] : [[box.x, at], [box.x + box.w, at]];
  line(ctx, ends, colour, mark.width, DASHES[mark.dash]);
  const late = upright && at > box.x + box.w / 2, side = upright && !late ? "left" : "right";
  if (mark.label) text(ctx, mark.label, upright ? at + (late ? -5 : 5) : box.x + box.w - 4,
    upright ? box.y + 8 : at + (at < box.y + 16 ? 9 : -8), { size: 11.5, bold: true, colour, align: side });
  return upright ? { xs: [at], ys: [box.y + box.h / 2], w: 10, h: [box.h] }
    : { xs: [box.x + box.w / 2], ys: [at], w: box.w, h: [10] };
}

function band(ctx, mark, { box, px, py, theme }) {
  const ends = (mark.x ? mark.x.map(px) : mark.y.map(py)).sort((a, b) => a - b), wide = Math.max(1, ends[1] - ends[0]);
  ctx.fillStyle = shade(mark.colour, theme);
  if (mark.x) ctx.fillRect(ends[0], box.y, wide, box.h);
  else ctx.fillRect(box.x, ends[0], box.w, wide);
}

function words(ctx, mark, plot) {
  const { xs, ys } = pixels(mark, plot), { size, bold, anchor } = mark, colour = shade(mark.colour, plot.theme);
  mark.text.forEach((string, i) =>
    text(ctx, string, xs[i] + mark.dx, ys[i] + mark.dy, { size, bold, colour, align: anchor }));
}

function polygon(ctx, mark, plot) {
  const { xs, ys } = pixels(mark, plot), colour = shade(mark.colour, plot.theme);
  ctx.beginPath();
  xs.forEach((x, i) => (i ? ctx.lineTo(x, ys[i]) : ctx.moveTo(x, ys[i])));
  ctx.closePath();
  ctx.fillStyle = ctx.strokeStyle = colour;
  ctx.fill();
  ctx.globalAlpha = 1;
  ctx.lineWidth = mark.rim;
  if (mark.rim) ctx.stroke();
}

export const MARKS = { points, line: stroke, edges, arrows, bars, heat, images, rule, band, text: words, polygon };
