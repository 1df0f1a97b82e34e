// One chart: its canvas with axes and marks, and what pointer and keys do on it.

import { MARKS } from "./marks.js";
import { DASHES, MARKERS, font, line, scale, shade, short, text, ticks, turned } from "./paint.js";

const REACH = 14;  // pixels within which the pointer finds a point
const SIZE = 11;  // of the numbers at ticks
const STEPS = 50;  // of a key that moves a mark across its chart

export function ticksOf(axis, room) {
  const at = axis.ticks ?? ticks(axis.range, room, axis.log);
  return at.map((value, i) => ({ value, name: axis.names[i] ?? short(value) }));
}

// The box of the axes in a chart so wide, and how high the chart is; `wide` measures texts.
export function layout(spec, width, wide) {
  const { x, y, bare, equal } = spec, length = ({ range: [first, last] }) => Math.abs(last - first);
  const numbers = bare ? [] : ticksOf(y, spec.height / 50);
  const left = bare ? 6 : Math.ceil(Math.max(6, ...numbers.map(({ name }) => wide(name) + 9))) + (y.label ? 19 : 0);
  const bottom = bare ? 6 : (x.ticks?.length === 0 ? 6 : 22) + (x.label ? 19 : 0), top = 9, right = bare ? 6 : 16;
  const room = Math.max(40, width - left - right);
  if (!equal) return { box: { x: left, y: top, w: room, h: spec.height - top - bottom }, height: spec.height };
  const h = Math.min(spec.height - top - bottom, (room * length(y)) / length(x)), w = (h * length(x)) / length(y);
  return { box: { x: left + (room - w) / 2, y: top, w, h }, height: h + top + bottom };
}

// Grid, ticks and labels; numbers that would run into each other give way.
function axes(ctx, { x, y }, { box, px, py, theme }) {
  const foot = box.y + box.h, muted = { size: SIZE, colour: theme.muted };
  for (const { value, name } of ticksOf(y, box.h / 40)) {
    if (y.grid) line(ctx, [[box.x, py(value)], [box.x + box.w, py(value)]], theme.grid);
    text(ctx, name, box.x - 6, py(value), { ...muted, align: "right" });
  }
  let free = -Infinity;
  for (const { value, name } of ticksOf(x, box.w / 70).sort((a, b) => px(a.value) - px(b.value))) {
    const at = px(value), half = ctx.measureText(name).width / 2;
    if (x.grid) line(ctx, [[at, box.y], [at, foot]], theme.grid);
    if (at - half < free) continue;
    free = at + half + 6;
    line(ctx, [[at, foot], [at, foot + 4]], theme.muted);
    text(ctx, name, at, foot + 7, { ...muted, align: "center", base: "top" });
  }
  line(ctx, [[box.x, foot], [box.x + box.w, foot]], theme.muted);
  const below = { colour: theme.muted, align: "center", base: "top" };
  text(ctx, x.label, box.x + box.w / 2, foot + (x.ticks?.length === 0 ? 8 : 24), below);
  ctx.save();
  ctx.translate(9, box.y + box.h / 2);
  ctx.rotate(-Math.PI / 2);
  text(ctx, y.label, 0, 0, { colour: theme.muted, align: "center" });
  ctx.restore();
}

// The item of the targets at a place: the nearest point within reach, or else the topmost box around the place.
export function pick(targets, x, y) {
  let best = null, least = REACH ** 2, boxed = null;
  targets.forEach((target) => {
    const { xs, ys, w, h } = target;
    for (let i = 0; i < xs.length; i++) {
      const dx = Math.abs(xs[i] - x), dy = Math.abs(ys[i] - y), square = dx * dx + dy * dy;
      if (w === undefined && square < least) [best, least] = [{ target, i }, square];
      if (w !== undefined && dx <= w / 2 && dy <= Math.max(h[i], 6) / 2) boxed = { target, i };
    }
  });
  return best ?? boxed;
}

export function hoverText(mark, i) {
  return mark.hover.replace(/\{(\w+)\}/g, (_, name) => {
    const value = mark[`fields.${name}`]?.[i];
    return typeof value === "number" ? short(value) : value ?? "";
  });
}

// The items within a closed line through pixels.
export function inside(path, { xs, ys }) {
  const within = (_, i) => path.filter(([x, y], k) => {
    const [u, v] = path.at(k - 1);
    return (y > ys[i]) !== (v > ys[i]) && xs[i] < x + ((ys[i] - y) * (u - x)) / (v - y);
  }).length % 2;
  return Array.from(xs, (_, i) => i).filter(within);
}

// The knobs that take an item's x and y when it is dragged.
export function dragged({ drag, drag_x, drag_y, x, kind }, i) {
  if (kind === "rule") return drag ? (x === undefined ? { y: drag } : { x: drag }) : {};
  const knobs = {};
  if (drag_x?.[i]) knobs.x = drag_x[i];
  if (drag_y?.[i]) knobs.y = drag_y[i];
  return knobs;
}
const movable = (item) => item && Object.keys(dragged(item.target.mark, item.i)).length > 0;

const HTML = `<div class="clx-head"></div><div class="clx-legend"></div>
  <div class="clx-plot"><canvas role="img"></canvas><div class="clx-ring" hidden></div>
  <div class="clx-tip" hidden></div></div><div class="clx-note"></div>`;

// Small picture i of a sheet, about 64 pixels large.
function thumbnail({ sprite, tile: [w, h], columns }, i) {
  const by = Math.max(1, Math.round(64 / Math.max(w, h))), node = document.createElement("div");
  node.className = "clx-thumb";
  Object.assign(node.style, {
    width: `${by * w}px`, height: `${by * h}px`, background: `url(${sprite})`, backgroundSize: `${by * w * columns}px`,
    backgroundPosition: `${-by * w * (i % columns)}px ${-by * h * Math.floor(i / columns)}px`,
  });
  return node;
}

// `again` asks for a painting, `say` tells a screen reader, `send` takes knobs with their new values.
export function makeChart(home, { again, say, send, sheet }) {
  home.innerHTML = HTML;
  const [head, legend, frame, note] = home.children, [canvas, halo, tip] = frame.children;
  const ctx = canvas.getContext("2d"), view = { yaw: 0.5, pitch: 0.4 };
  let spec, plot, targets = [], over = null, held = null, legendary = "";

  const items = () => targets.flatMap((target) => Array.from(target.xs, (_, i) => ({ target, i })));
  // An item in a newer picture: by its knobs if it can be dragged, as what is dragged past others changes places.
  const knobsOf = ({ target, i }) => Object.values(dragged(target.mark, i)).join();
  function same(item) {
    if (movable(item)) return items().find((other) => knobsOf(other) === knobsOf(item)) ?? null;
    const target = item && targets[item.place];
    return target && item.i < target.xs.length ? { target, i: item.i } : null;
  }

  function point(item) {
    over = item && { ...item, place: targets.indexOf(item.target) };
    const { mark, xs, ys, w } = item?.target ?? {}, words = item ? hoverText(mark, item.i) : "";
    canvas.style.cursor = movable(item) ? (held ? "grabbing" : "grab") : mark?.pick ? "pointer" : "";
    halo.hidden = !item || w !== undefined;
    tip.hidden = !words;
    if (!item) return;
    const x = xs[item.i], y = ys[item.i];
    halo.style.transform = `translate(${x - 10}px, ${y - 10}px)`;
    tip.textContent = words;
    if (!words) return;
    if (mark.thumbnails && sheet().sprite) tip.prepend(thumbnail(sheet(), item.i));
    const room = canvas.clientWidth - tip.offsetWidth, beside = x + 14 > room ? x - 14 - tip.offsetWidth : x + 14;
    const high = Math.min(y - tip.offsetHeight / 2, canvas.clientHeight - tip.offsetHeight);
    tip.style.transform = `translate(${Math.max(0, Math.min(beside, room))}px, ${Math.max(0, high)}px)`;
  }

  // Sends the knobs of an item for a new place of it, in pixels or by a share of the axes.
  function move(item, x, y) {
    const knobs = dragged(item.target.mark, item.i), next = {};
    const kept = (share) => Math.max(0, Math.min(1, share)), { box } = plot;
    if (knobs.x) next[knobs.x] = scale(spec.x).value(kept((x - box.x) / box.w));
    if (knobs.y) next[knobs.y] = scale(spec.y).value(kept((box.y + box.h - y) / box.h));
    send(next);
  }

  function turn(dx, dy) {
    view.yaw += 0.01 * dx;
    view.pitch = Math.max(-1.5, Math.min(1.5, view.pitch + 0.01 * dy));
    again();
  }

  const rope = () => targets.find(({ mark }) => mark.lasso);
  const select = (rows) => rope() && send({ [rope().mark.lasso]: rows });

  canvas.onpointerdown = ({ offsetX: x, offsetY: y, pointerId, shiftKey }) => {
    const item = pick(targets, x, y), path = rope() && spec.turns === shiftKey ? [[x, y]] : null;
    held = { item: movable(item) ? item : null, x, y, far: 0, path };
    canvas.setPointerCapture(pointerId);
    point(item);
  };
  canvas.onpointermove = ({ offsetX: x, offsetY: y }) => {
    if (!held) return point(pick(targets, x, y));
    const [dx, dy] = [x - held.x, y - held.y];
    held = { ...held, x, y, far: held.far + Math.hypot(dx, dy) };
    if (held.item) move(held.item, x, y);
    else if (held.path) {
      held.path.push([x, y]);
      again();
    } else if (spec.turns) turn(dx, dy);
  };
  canvas.onpointerup = () => {
    if (held?.far < 5 && over?.target.mark.pick) send({ [over.target.mark.pick]: over.i });
    else if (held?.far < 5) select([]);
    else if (held?.path) select(inside(held.path, rope()));
    if (held?.path) again();
    held = null;
    point(same(over));
  };
  canvas.onpointerleave = () => {
    if (!held) point(null);
  };
  canvas.onblur = () => point(null);
  canvas.onkeydown = (event) => {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const chosen = event.key === "Enter" && over?.target.mark.pick;
    if (event.key === "Escape") return void select([]);
    if (!steps && !chosen) return;
    event.preventDefault();
    if (chosen) return send({ [chosen]: over.i });
    const [dx, dy] = steps;
    if (event.shiftKey && movable(over)) {
      const { xs, ys } = over.target, { box } = plot;
      return move(over, xs[over.i] + (dx * box.w) / STEPS, ys[over.i] + (dy * box.h) / STEPS);
    }
    if (spec.turns) return turn(20 * dx, 20 * dy);
    const all = items(), now = all.findIndex((item) => item.target === over?.target && item.i === over.i);
    if (!all.length) return;
    point(all[(Math.max(now, -1) + dx + dy + all.length + (now < 0 && dx + dy < 0 ? 1 : 0)) % all.length]);
    const words = tip.textContent.replaceAll("\n", ", ") || knobsOf(over);
    say(words + (movable(over) ? " (Shift and arrow keys move it)" : ""));
  };

  return {
    canvas,
    show(next, alt, key) {
      spec = { ...next.look, marks: next.marks.map(({ look, ...columns }) => ({ ...look, ...columns })) };
      if (head.textContent !== spec.title) head.textContent = spec.title;
      if (note.textContent !== spec.note) note.textContent = spec.note;
      canvas.setAttribute("aria-label", [spec.title, alt].filter(Boolean).join(". "));
      const { text: names, html, knobs } = key(spec.marks);
      if (names !== legendary) legend.innerHTML = html;
      legendary = names;
      legend.onclick = ({ target }) => {
        const knob = knobs[[...legend.children].indexOf(target.closest("span"))];
        if (knob) send(knob);
      };
    },
    paint(theme, width) {
      const ratio = window.devicePixelRatio || 1;
      if (!width || !spec) return;
      font(ctx, SIZE);
      const { box, height } = layout(spec, width, (string) => ctx.measureText(string).width);
      if (canvas.style.height !== `${height}px`) canvas.style.height = `${height}px`;
      canvas.width = Math.round(width * ratio);  // setting the size also clears
      canvas.height = Math.round(height * ratio);
      ctx.scale(ratio, ratio);
      const across = scale(spec.x), up = scale(spec.y);
      const px = (value) => box.x + box.w * across.share(value), py = (value) => box.y + box.h * (1 - up.share(value));
      const place = (x, y, z) => {
        if (z === undefined) return [px(x), py(y), 0];
        const [a, b, c] = turned(x, y, z, view);
        return [px(a), py(b), c];
      };
      plot = { box, theme, ratio, px, py, place };
      if (!spec.bare) axes(ctx, spec, plot);
      targets = [];
      for (const mark of spec.marks) {
        ctx.save();
        ctx.beginPath();
        ctx.rect(box.x - 9, box.y - 9, box.w + 18, box.h + 18);
        if (mark.kind !== "text" && !spec.bare) ctx.clip();
        ctx.globalAlpha = mark.alpha;
        const found = MARKS[mark.kind](ctx, mark, plot);
        ctx.restore();
        if (found && (mark.hover || mark.pick || mark.lasso || mark.drag || mark.drag_x?.length || mark.drag_y?.length))
          targets.push({ ...found, mark });
      }
      canvas.tabIndex = targets.length || spec.turns ? 0 : -1;  // only what answers to keys is on the way of Tab
      if (held?.path) line(ctx, [...held.path, held.path[0]], theme.ink, 1.5, DASHES.dashed);
      const drags = targets.some(({ mark }) => mark.drag || mark.lasso || mark.drag_x?.length || mark.drag_y?.length);
      canvas.style.touchAction = spec.turns || drags ? "none" : "pan-y";
      if (over) point(same(over));
    },
  };
}

// The legend of marks that have a name, as HTML with small drawings: lines with their dashes, markers, or patches.
export function legendOf(marks, theme) {
  const safe = (string) => string.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
  const rows = marks.filter(({ name }) => name.length).flatMap((mark) => {
    const names = [mark.name].flat(), colours = [mark.colour ?? "ink"].flat();
    return names.map((name, k) => ({ mark, name, colour: shade(colours[k] ?? colours[0], theme), k }));
  });
  const html = rows.map(({ mark, name, colour, k }) => {
    const corners = MARKERS[mark.marker?.[k] ?? mark.marker?.[0]];
    const shape = corners ? `<polygon points="${corners.map(([x, y]) => [9 + 5 * x, 7 + 5 * y].join()).join(" ")}"
        fill="${mark.hollow ? "none" : colour}" stroke="${colour}"/>`
      : mark.dash ? `<path d="M0 7h18" stroke="${colour}" stroke-width="2.2" stroke-dasharray="${DASHES[mark.dash]}"/>`
        : `<rect x="2" y="2" width="14" height="10" fill="${colour}" fill-opacity="${mark.alpha}"/>`;
    const span = `<span${mark.legend ? ' style="cursor: pointer"' : ""}>`;
    return `${span}<svg width="18" height="14" aria-hidden="true">${shape}</svg>${safe(name)}</span>`;
  });
  const knobs = rows.map(({ mark, k }) => (mark.legend ? { [mark.legend]: k } : null));
  return { text: rows.map(({ name, colour }) => name + colour).join("\n"), html: html.join(""), knobs };
}
