// Colours, markers, ticks and text: what marks are drawn with. Coordinates are CSS pixels.

export const THEMES = {
  light: { paper: "#ffffff", ink: "#222222", muted: "#5f5f5f", grid: "#e6e6e6", edge: "#dcdcdc" },
  dark: { paper: "#1b1d20", ink: "#e8e8e8", muted: "#a9adb2", grid: "#34373b", edge: "#4a4d52" },
};
export const DASHES = { solid: [], dashed: [7, 4], dotted: [2, 3], dashdot: [8, 3, 2, 3] };
const FONT = 'system-ui, "Segoe UI", "Liberation Sans", sans-serif';

export const short = (value) => (Number.isFinite(value) ? String(Number(value.toPrecision(3))).replace("-", "\u2212")
  : "\u2013");

const channels = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
function luminance(colour) {
  const [r, g, b] = channels(colour).map((value) => ((value / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
export function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}
const mixed = (one, other, share) => "#" + channels(one).map((value, i) =>
  Math.round(value + share * (channels(other)[i] - value)).toString(16).padStart(2, "0")).join("");

// A colour as it is shown in a theme: on dark paper, dark ones are lightened until they stand out from it.
const shown = new Map();
export function shade(colour, theme) {
  if (theme[colour]) return theme[colour];
  const key = colour + theme.paper;
  if (!shown.has(key)) {
    let lit = colour;
    if (theme === THEMES.dark)
      for (let share = 0.1; contrast(lit, theme.paper) < 3.5 && share < 1; share += 0.1)
        lit = mixed(colour, theme.ink, share);
    shown.set(key, lit);
  }
  return shown.get(key);
}

// Corners of a regular polygon on the unit circle (turn in degrees), or of a star when `inner` is below 1.
function ring(corners, turn, size = 1, inner = 1) {
  const count = inner < 1 ? 2 * corners : corners;
  return Array.from({ length: count }, (_, i) => {
    const angle = (2 * Math.PI * i) / count + (turn * Math.PI) / 180;
    const radius = size * (i % 2 && inner < 1 ? inner : 1);
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  });
}
const CROSS = [-20, 20, 45, 70, 110, 135, 160, 200, 225, 250, 290, 315];
const cross = (turn) => CROSS.map((degrees, i) => {
  const angle = ((degrees + turn) * Math.PI) / 180, radius = i % 3 === 2 ? 0.47 : 1.05;
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
});
// Markers under matplotlib's names, sized to look equally large.
export const MARKERS = {
  o: ring(16, 0), s: ring(4, 45, 1.2), D: ring(4, 0, 1.2), "^": ring(3, -90, 1.25), v: ring(3, 90, 1.25),
  "<": ring(3, 180, 1.25), ">": ring(3, 0, 1.25), "*": ring(5, -90, 1.4, 0.45), P: cross(0), X: cross(45),
};

export function trace(ctx, marker, x, y, radius) {
  const corners = MARKERS[marker] ?? MARKERS.o;
  ctx.moveTo(x + radius * corners[0][0], y + radius * corners[0][1]);
  for (let i = 1; i < corners.length; i++) ctx.lineTo(x + radius * corners[i][0], y + radius * corners[i][1]);
  ctx.closePath();
}

// The picture of one marker, as opaque as it will be drawn, made once: to copy it is quicker than to fill its outline.
const stamps = new Map();
export function stamp(colour, marker, radius, alpha, ratio) {
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

export function font(ctx, size, bold = false) {
  ctx.font = `${bold ? 600 : 400} ${size}px ${FONT}`;
}
export function text(ctx, string, x, y, { size = 12, bold = false, colour, align = "left", base = "middle" }) {
  font(ctx, size, bold);
  ctx.fillStyle = colour;
  ctx.textAlign = align;
  ctx.textBaseline = base;
  ctx.fillText(string, x, y);
}

export function line(ctx, points, colour, width = 1, dash = []) {
  ctx.beginPath();
  let drawing = false;
  for (const [x, y] of points) {
    if (Number.isNaN(x + y)) drawing = false;
    else if (drawing) ctx.lineTo(x, y);
    else {
      ctx.moveTo(x, y);
      drawing = true;
    }
  }
  ctx.strokeStyle = colour;
  ctx.lineWidth = width;
  ctx.lineJoin = "round";
  ctx.setLineDash(dash);
  ctx.stroke();
  ctx.setLineDash([]);
}

// About `count` round numbers from low to high; on a logarithmic axis powers of ten, and 2 and 5 times these if few.
export function ticks([first, last], count, log = false) {
  const low = Math.min(first, last), high = Math.max(first, last);
  if (log) {
    const decades = Math.log10(high / low), steps = decades > count ? [1] : decades > count / 2 ? [1, 3] : [1, 2, 5];
    const powers = Array.from({ length: Math.ceil(decades) + 2 }, (_, i) => Math.floor(Math.log10(low)) + i);
    return powers.flatMap((power) => steps.map((step) => Number((step * 10 ** power).toPrecision(3))))
      .filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
  }
  const rough = (high - low) / Math.max(1, count), power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.99);
  const start = Math.ceil(low / step - 1e-9), length = Math.floor(high / step + 1e-9) - start + 1;
  return Array.from({ length }, (_, i) => Number(((start + i) * step).toPrecision(12)));
}

// From a value to its share of an axis, 0 at its first end and 1 at its last, and back.
export function scale({ range: [first, last], log }) {
  const of = log ? Math.log : Number, back = log ? Math.exp : Number, start = of(first), span = of(last) - start;
  return { share: (value) => (of(value) - start) / span, value: (share) => back(start + share * span) };
}

// Turns a point of space to where the reader has dragged it; the last coordinate points at the reader.
export function turned(x, y, z, { yaw, pitch }) {
  const a = x * Math.cos(yaw) + z * Math.sin(yaw), c = z * Math.cos(yaw) - x * Math.sin(yaw);
  return [a, y * Math.cos(pitch) - c * Math.sin(pitch), y * Math.sin(pitch) + c * Math.cos(pitch)];
}

// The colour of a share from 0 to 1 on matplotlib's viridis, in straight pieces.
const VIRIDIS = [[68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141], [39, 173, 129],
  [92, 200, 99], [170, 220, 50], [253, 231, 37]];
export function viridis(share) {
  const at = Math.max(0, Math.min(1, share)) * (VIRIDIS.length - 1), low = Math.min(Math.floor(at), VIRIDIS.length - 2);
  return `rgb(${VIRIDIS[low].map((value, i) => Math.round(value + (at - low) * (VIRIDIS[low + 1][i] - value)))})`;
}
