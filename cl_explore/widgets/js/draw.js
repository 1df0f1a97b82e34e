// What all panels draw with: axes, markers, bars, arrows, legends, tooltips. Coordinates are CSS pixels.

const INK = "#222", MUTED = "#5f5f5f", GRID = "#e6e6e6";
const font = (size, weight = 400) => `${weight} ${size}px system-ui, "Segoe UI", "Liberation Sans", sans-serif`;
const short = (value) => String(Number(value.toPrecision(3))).replace("-", "\u2212");

// Corners of a regular polygon on the unit circle (turn in degrees), or of a star when `inner` is below 1.
function ring(corners, turn, inner = 1) {
  const count = inner < 1 ? 2 * corners : corners;
  return Array.from({ length: count }, (_, i) => {
    const angle = (2 * Math.PI * i) / count + (turn * Math.PI) / 180, radius = i % 2 && inner < 1 ? inner : 1;
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  });
}
const cross = (turn) => [-20, 20, 45, 70, 110, 135, 160, 200, 225, 250, 290, 315].map((degrees, i) => {
  const angle = ((degrees + turn) * Math.PI) / 180, radius = i % 3 === 2 ? 0.47 : 1.05;
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
});
// Markers under matplotlib's names, sized to look equally large.
const MARKERS = {
  o: ring(16, 0), s: ring(4, 45).map(([x, y]) => [1.2 * x, 1.2 * y]), D: ring(4, 0).map(([x, y]) => [1.2 * x, 1.2 * y]),
  "^": ring(3, -90).map(([x, y]) => [1.25 * x, 1.25 * y]), v: ring(3, 90).map(([x, y]) => [1.25 * x, 1.25 * y]),
  "<": ring(3, 180).map(([x, y]) => [1.25 * x, 1.25 * y]), ">": ring(3, 0).map(([x, y]) => [1.25 * x, 1.25 * y]),
  "*": ring(5, -90, 0.45).map(([x, y]) => [1.4 * x, 1.4 * y]), P: cross(0), X: cross(45),
};

function trace(ctx, marker, x, y, radius) {
  const corners = MARKERS[marker] ?? MARKERS.o;
  ctx.moveTo(x + radius * corners[0][0], y + radius * corners[0][1]);
  for (let i = 1; i < corners.length; i++) ctx.lineTo(x + radius * corners[i][0], y + radius * corners[i][1]);
  ctx.closePath();
}

// The picture of one marker, as opaque as it will be drawn, made once: to copy it is quicker than to fill its outline.
const stamps = new Map();
function stamp({ colour, marker }, radius, alpha, ratio) {
  const key = [colour, marker, radius, alpha, ratio].join();
  if (!stamps.has(key)) {
    const side = 2 * Math.ceil((1.45 * radius + 1) * ratio), sheet = document.createElement("canvas");
    sheet.width = sheet.height = side;
    const ctx = sheet.getContext("2d");
    ctx.scale(ratio, ratio);
    ctx.globalAlpha = alpha;
    ctx.beginPath();
    trace(ctx, marker, side / 2 / ratio, side / 2 / ratio, radius);
    ctx.fillStyle = colour;
    ctx.fill();
    stamps.set(key, sheet);
  }
  return stamps.get(key);
}

// Points xs, ys; point i looks like looks[group[i]]. One path a look, or from 500 points on one stamp a point.
function scatter(ctx, xs, ys, group, looks, { radius = 4, alpha = 0.9, keep = () => true } = {}) {
  if (xs.length > 500) {
    const ratio = ctx.getTransform().a, sheets = looks.map((look) => stamp(look, radius, alpha, ratio));
    for (let i = 0; i < xs.length; i++) if (keep(i)) {
      const sheet = sheets[group[i]], side = sheet.width / ratio;  // on whole pixels nothing needs smoothing
      ctx.drawImage(sheet, Math.round((xs[i] - side / 2) * ratio) / ratio, Math.round((ys[i] - side / 2) * ratio) / ratio, side, side);
    }
    return;
  }
  ctx.globalAlpha = alpha;
  ctx.lineWidth = 1.6;
  ctx.strokeStyle = "white";
  looks.forEach(({ colour, marker }, look) => {
    ctx.beginPath();
    for (let i = 0; i < xs.length; i++) if (group[i] === look && keep(i)) trace(ctx, marker, xs[i], ys[i], radius);
    ctx.stroke();  // before the filling, or the rims of close neighbours would wipe each other out
    ctx.fillStyle = colour;
    ctx.fill();
  });
  ctx.globalAlpha = 1;
}

function text(ctx, string, x, y, { size = 12, weight = 400, colour = INK, align = "left", base = "alphabetic" } = {}) {
  ctx.font = font(size, weight);
  ctx.fillStyle = colour;
  ctx.textAlign = align;
  ctx.textBaseline = base;
  ctx.fillText(string, x, y);
}

function line(ctx, points, colour, { width = 2, dash = [] } = {}) {
  ctx.beginPath();
  points.forEach(([x, y], i) => (i ? ctx.lineTo(x, y) : ctx.moveTo(x, y)));
  ctx.strokeStyle = colour;
  ctx.lineWidth = width;
  ctx.setLineDash(dash);
  ctx.stroke();
  ctx.setLineDash([]);
}

// Arrows from xs, ys by dxs, dys, in one path.
function arrows(ctx, xs, ys, dxs, dys) {
  ctx.beginPath();
  for (let i = 0; i < xs.length; i++) {
    const length = Math.hypot(dxs[i], dys[i]), head = Math.min(5, length / 2);
    if (length < 1) continue;
    const ux = (head * dxs[i]) / length, uy = (head * dys[i]) / length, x = xs[i] + dxs[i], y = ys[i] + dys[i];
    ctx.moveTo(xs[i], ys[i]);
    ctx.lineTo(x, y);
    ctx.moveTo(x - ux - 0.6 * uy, y - uy + 0.6 * ux);
    ctx.lineTo(x, y);
    ctx.lineTo(x - ux + 0.6 * uy, y - uy - 0.6 * ux);
  }
  ctx.lineWidth = 1.1;
  ctx.strokeStyle = "rgba(0,0,0,.6)";
  ctx.stroke();
}

// Turns a point of the sphere to where the reader has dragged it; the last coordinate points at the reader.
function turned([x, y, z], { yaw = 0.5, pitch = 0.4 }) {
  const a = x * Math.cos(yaw) + z * Math.sin(yaw), c = z * Math.cos(yaw) - x * Math.sin(yaw);
  return [a, y * Math.cos(pitch) - c * Math.sin(pitch), y * Math.sin(pitch) + c * Math.cos(pitch)];
}
function turn(view, dx, dy) {
  view.yaw = (view.yaw ?? 0.5) + 0.01 * dx;
  view.pitch = Math.max(-1.5, Math.min(1.5, (view.pitch ?? 0.4) + 0.01 * dy));
}

// About `count` round numbers from low to high.
function ticks([low, high], count = 5) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.99);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step);
}

// Grid, ticks and labels of the plot in `box`; gives back the functions from values to pixels.
function axes(ctx, box, { x, y, log = false, xticks, yticks, xlabel = "", ylabel = "", title = "" }) {
  const scale = log ? Math.log : (value) => value;
  const px = (value) => box.x + (box.w * (scale(value) - scale(x[0]))) / (scale(x[1]) - scale(x[0]));
  const py = (value) => box.y + box.h - (box.h * (value - y[0])) / (y[1] - y[0]);
  for (const tick of yticks ?? ticks(y)) {
    line(ctx, [[box.x, py(tick)], [box.x + box.w, py(tick)]], GRID, { width: 1 });
    text(ctx, short(tick), box.x - 6, py(tick), { size: 11, colour: MUTED, align: "right", base: "middle" });
  }
  for (const tick of xticks ?? ticks(x)) {
    line(ctx, [[px(tick), box.y + box.h], [px(tick), box.y + box.h + 4]], MUTED, { width: 1 });
    text(ctx, short(tick), px(tick), box.y + box.h + 7, { size: 11, colour: MUTED, align: "center", base: "top" });
  }
  line(ctx, [[box.x, box.y + box.h], [box.x + box.w, box.y + box.h]], MUTED, { width: 1 });
  text(ctx, title, box.x, box.y - 10, { size: 13, weight: 600 });
  text(ctx, xlabel, box.x + box.w / 2, box.y + box.h + 24, { align: "center", base: "top", colour: MUTED });
  ctx.save();
  ctx.translate(box.x - 42, box.y + box.h / 2);
  ctx.rotate(-Math.PI / 2);
  text(ctx, ylabel, 0, 0, { align: "center", colour: MUTED });
  ctx.restore();
  return { x: px, y: py };
}

function bars(ctx, axis, values, colour) {
  const floor = axis.y(0), pitch = axis.x(1) - axis.x(0), gap = pitch > 4 ? 0.18 * pitch : 0;
  values.forEach((value, i) => {
    ctx.fillStyle = colour(i);
    ctx.fillRect(axis.x(i) + gap / 2, axis.y(value), pitch - gap, floor - axis.y(value));
  });
}

// ys over xs as a line in a plot.
function curve(ctx, axis, xs, ys, colour, look) {
  line(ctx, Array.from(xs, (x, i) => [axis.x(x), axis.y(ys[i])]), colour, look);
}

// Names of lines beside a piece of each, { name, colour, dash }, one below the other.
function keys(ctx, x, y, rows) {
  rows.forEach(({ name, colour, dash = [] }, row) => {
    line(ctx, [[x, y + 17 * row], [x + 20, y + 17 * row]], colour, { dash, width: 2.5 });
    text(ctx, name, x + 26, y + 17 * row, { base: "middle" });
  });
}

// The colour of a share from 0 to 1 on matplotlib's viridis, in straight pieces.
const VIRIDIS = [[68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141], [39, 173, 129], [92, 200, 99],
  [170, 220, 50], [253, 231, 37]];
function viridis(share) {
  const at = Math.max(0, Math.min(1, share)) * (VIRIDIS.length - 1), low = Math.min(Math.floor(at), VIRIDIS.length - 2);
  return `rgb(${VIRIDIS[low].map((value, i) => Math.round(value + (at - low) * (VIRIDIS[low + 1][i] - value)))})`;
}

// A matrix of shares from 0 to 1, row by row, as cells with their numbers.
function heat(ctx, box, values, columns) {
  const w = box.w / columns, rows = values.length / columns, h = box.h / rows;
  values.forEach((value, i) => {
    const x = box.x + (i % columns) * w, y = box.y + Math.floor(i / columns) * h;
    ctx.fillStyle = viridis(value);
    ctx.fillRect(x, y, w - 1, h - 1);
    if (w > 30) text(ctx, value.toFixed(2), x + w / 2, y + h / 2,
      { size: 11, align: "center", base: "middle", colour: value > 0.6 ? INK : "white" });
  });
}

// A column of looks with their names.
function legend(ctx, x, y, looks, names) {
  names.forEach((name, i) => {
    scatter(ctx, [x + 6], [y + 19 * i], [0], [looks[i]], { radius: 5, alpha: 1 });
    text(ctx, name, x + 18, y + 19 * i, { base: "middle" });
  });
}

function tooltip(ctx, width, height, x, y, { lines, image }) {
  ctx.font = font(12);
  const side = image ? 72 : 0;
  const w = Math.max(side, ...lines.map((l) => ctx.measureText(l).width)) + 16, h = lines.length * 16 + 12 + (side && side + 6);
  const left = Math.max(2, x + 14 + w > width ? x - 14 - w : x + 14), top = Math.min(Math.max(2, y - h / 2), height - h - 2);
  ctx.beginPath();
  ctx.arc(x, y, 8, 0, 7);
  ctx.strokeStyle = INK;
  ctx.lineWidth = 1.5;
  ctx.stroke();
  ctx.fillStyle = "rgba(255,255,255,.96)";
  ctx.shadowColor = "rgba(0,0,0,.25)";
  ctx.shadowBlur = 6;
  ctx.fillRect(left, top, w, h);
  ctx.shadowBlur = 0;
  if (image) {
    ctx.imageSmoothingEnabled = false;  // an 8 x 8 digit is best seen as its pixels
    ctx.drawImage(image.sheet, image.x, image.y, image.w, image.h, left + 8, top + 8, side, (side * image.h) / image.w);
  }
  lines.forEach((l, i) => text(ctx, l, left + 8, top + (side && side + 6) + 18 + 16 * i));
}

// A curve of its own scale in `box`, its name above it to the left and its newest value to the right.
function sparkline(ctx, box, name, values, colour) {
  let low = Math.min(...values), high = Math.max(...values);
  if (high - low < 1e-3) [low, high] = [low - 5e-4, high + 5e-4];  // or rounding would fill the box
  const x = (i) => box.x + (box.w * i) / Math.max(1, values.length - 1);
  const y = (value) => box.y + box.h - (box.h * (value - low)) / (high - low);
  line(ctx, [[box.x, box.y + box.h], [box.x + box.w, box.y + box.h]], GRID, { width: 1 });
  line(ctx, Array.from(values, (value, i) => [x(i), y(value)]), colour, { width: 1.8 });
  scatter(ctx, [x(values.length - 1)], [y(values.at(-1))], [0], [{ colour, marker: "o" }], { radius: 4, alpha: 1 });
  text(ctx, name, box.x, box.y - 7, { colour: MUTED });
  text(ctx, short(Math.round(1e4 * values.at(-1)) / 1e4), box.x + box.w, box.y - 7, { size: 14, weight: 600, align: "right" });
}

// A circle (one ring for each radius) or a sphere of the first radius, around x0, y0.
function ground(ctx, x0, y0, radii, dim, view) {
  const angles = Array.from({ length: 73 }, (_, i) => (i * Math.PI) / 36);
  const curve = (point) => line(ctx, angles.map(point).map(([x, y]) => [x0 + x, y0 - y]), "#bdbdbd", { width: 1 });
  for (const radius of dim === 2 ? radii : radii.slice(0, 1))
    curve((a) => [radius * Math.cos(a), radius * Math.sin(a)]);
  if (dim === 2) return;
  ctx.globalAlpha = 0.5;
  for (const point of [(a) => [Math.cos(a), Math.sin(a), 0], (a) => [Math.cos(a), 0, Math.sin(a)], (a) => [0, Math.cos(a), Math.sin(a)]])
    curve((a) => turned(point(a), view).map((value) => radii[0] * value));
  ctx.globalAlpha = 1;
}
