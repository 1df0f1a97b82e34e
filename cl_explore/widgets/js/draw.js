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

// Points xs, ys; point i looks like looks[group[i]]. One path a look: thousands of points cost a few milliseconds.
function scatter(ctx, xs, ys, group, looks, { radius = 4, alpha = 0.9, keep = () => true } = {}) {
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
