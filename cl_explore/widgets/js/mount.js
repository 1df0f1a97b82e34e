// How a panel gets onto the page: `mount` makes title, canvas and read-out; `live` feeds it from a kernel, `still` from
// frames that came with the page. A panel is { height(width, data), draw(ctx, width, height, data, view), drag?(view, dx, dy) };
// draw returns what can be hovered, { x, y, tip(i) }, or nothing. A panel may also have press(view, data, at, send), where
// `at` is { i, x, y }, the hovered point (-1 for none) and the place, and lasso(view, data, inside, send), with the points
// inside the line drawn; `send` brings a message to the kernel and is missing where there is none. turns(data) says
// whether dragging turns the picture (always, if it is missing); else, where there is a lasso, it draws one, and with Shift
// it is the other way round.

function mount(root, panel, drawn = () => {}, send = undefined) {
  root.classList.add("clx");
  root.innerHTML = `<div class="clx-title"></div><canvas role="img"></canvas>
    <div class="clx-readout" aria-live="polite"></div><div class="clx-status" role="status"></div>`;
  const [title, canvas, readout, status] = root.children, ctx = canvas.getContext("2d");
  // What the reader did to the picture itself; with `again` it is painted once more, and `say` tells what is chosen.
  const view = {
    said: "",
    again: () => request(),
    say(sentence) {
      if (view.said !== sentence) view.said = status.textContent = sentence;
    },
  };
  let data, targets, over = -1, held = null, path = [], waiting = 0, fresh = false;

  function paint() {
    waiting = 0;
    const width = canvas.clientWidth, ratio = window.devicePixelRatio || 1;
    if (!data || !width) return;
    const height = panel.height(width, data);
    canvas.style.height = `${height}px`;
    canvas.width = Math.round(width * ratio);  // setting the size also clears
    canvas.height = Math.round(height * ratio);
    ctx.scale(ratio, ratio);
    targets = panel.draw(ctx, width, height, data, view);
    canvas.tabIndex = targets || turns({}) ? 0 : -1;  // only what answers to keys is on the reader's way through the page
    if (targets && over >= 0 && over < targets.x.length)
      tooltip(ctx, width, height, targets.x[over], targets.y[over], targets.tip(over));
    if (path.length > 1) line(ctx, [...path, path[0]], INK, { width: 1.5, dash: [5, 3] });
    if (fresh) drawn(data);
    fresh = false;
  }
  const request = () => { waiting ||= requestAnimationFrame(paint); };

  function nearest(x, y) {
    let best = -1, least = 14 ** 2;
    for (let i = 0; targets && i < targets.x.length; i++) {
      const square = (targets.x[i] - x) ** 2 + (targets.y[i] - y) ** 2;
      if (square < least) [best, least] = [i, square];
    }
    return best;
  }
  function point(index) {
    if (index !== over) request();
    over = index;
  }
  const turns = ({ shiftKey = false }) =>
    panel.drag && (panel.lasso ? panel.turns(data) !== shiftKey : panel.turns?.(data) ?? true);
  const drop = () => {
    held = null;
    path = [];
    request();
  };
  canvas.onpointerdown = ({ offsetX, offsetY, pointerId }) => {
    canvas.setPointerCapture(pointerId);  // a lasso may leave the canvas on its way
    held = { x: offsetX, y: offsetY, far: 0 };
  };
  canvas.onpointerup = ({ offsetX: x, offsetY: y }) => {
    if (!held) return;
    if (held.far < 5) panel.press?.(view, data, { i: nearest(x, y), x, y }, send);
    else if (path.length > 2) panel.lasso(view, data, inside(path, targets), send);
    drop();
  };
  canvas.onpointerleave = () => {
    drop();
    point(-1);
  };
  canvas.onpointermove = (event) => {
    const { offsetX: x, offsetY: y } = event;
    if (!held) return point(nearest(x, y));
    const dx = x - held.x, dy = y - held.y;
    held = { x, y, far: held.far + Math.hypot(dx, dy) };
    if (turns(event)) panel.drag(view, dx, dy);
    else if (panel.lasso) path.push([x, y]);
    request();
  };
  canvas.onkeydown = (event) => {
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
    if (panel.press && (event.key === "Enter" || event.key === "Escape"))
      panel.press(view, data, { i: event.key === "Enter" ? over : -1, x: 0, y: 0 }, send);
    else if (!dx && !dy) return;
    else if (turns(event)) panel.drag(view, 20 * dx, 20 * dy);
    else if (targets) {
      point((over + dx + dy + targets.x.length) % targets.x.length);
      status.textContent = targets.tip(over).lines.join(", ");
    }
    event.preventDefault();
    request();
  };
  new ResizeObserver(request).observe(canvas);

  return function show(next) {
    data = next;
    fresh = true;
    title.textContent = data.title;
    canvas.setAttribute("aria-label", [data.alt, ...data.readout.map((cell) => cell.join(" "))].join("; "));
    readout.setAttribute("aria-live", data.moving ? "off" : "polite");  // thirty numbers a second are no help
    readout.replaceChildren(...data.readout.map(([label, value]) => {
      const cell = document.createElement("span"), strong = document.createElement("b");
      strong.textContent = `${value}`.replace(/^-/, "\u2212");
      cell.append(label, " ", strong);
      return cell;
    }));
    status.textContent = data.status || view.said;
    request();
  };
}

// Which of the targets lie inside a closed line.
function inside(path, { x, y }) {
  const within = [];
  for (let i = 0; i < x.length; i++) {
    let odd = false;
    for (let a = 0, b = path.length - 1; a < path.length; b = a++) {
      const [xa, ya] = path[a], [xb, yb] = path[b];
      if (ya > y[i] !== yb > y[i] && x[i] < ((xb - xa) * (y[i] - ya)) / (yb - ya) + xa) odd = !odd;
    }
    if (odd) within.push(i);
  }
  return within;
}

// JupyterLab takes the arrow keys from whatever has the focus, unless that very element says otherwise.
function keepKeys(home) {
  home.addEventListener("focusin", ({ target }) => { target.dataset.lmSuppressShortcuts = "true"; });
  return home;
}

function live(panel, { model, el }) {
  // Buffers may start anywhere in a message, floats only at multiples of four: hence the copy.
  const copy = (value) => value.buffer.slice(value.byteOffset, value.byteOffset + value.byteLength);
  const floats = (value) => value instanceof DataView ? new Float32Array(copy(value))
    : value?.uint8 instanceof DataView ? new Uint8Array(copy(value.uint8)) : value;
  const decode = (fields) => Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, floats(value)]));
  // An animating kernel numbers its frames and waits when too many are unseen: it never runs ahead of a slow page, nor
  // on without one. Ten answers a second do, as each costs more than drawing a frame.
  let newest = 0, timer = 0, home;
  function drawn({ moving }) {
    home ??= keepKeys(el.closest(".clx-panel"));
    if (!moving) return;
    newest = moving;
    timer ||= setTimeout(() => {
      timer = 0;
      model.send({ drawn: newest });
    }, 100);
  }
  const show = mount(el.appendChild(document.createElement("div")), panel, drawn, (message) => model.send(message));
  const update = () => show({ ...decode(model.get("scene")), ...decode(model.get("frame")) });
  model.on("change", update);  // once, when scene and frame change together
  update();
  return () => model.off("change", update);
}

function still(panel, root, { scene, frames, arrays, sliders }) {
  const bytes = (data) => Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0)).buffer;
  const kinds = { Int8Array, Int16Array, Int32Array };
  const unpack = ({ type, data, scale }) => Float32Array.from(new kinds[type](bytes(data)), (value) => value * scale);
  const stacks = Object.entries(arrays).map(([name, stack]) => [name, unpack(stack), stack]);
  root.replaceChildren();
  const form = root.appendChild(document.createElement("div"));
  form.className = "clx-sliders";
  const show = mount(root.appendChild(document.createElement("div")), panel);
  const update = () => {
    const frame = sliders.reduce((index, slider) => index * slider.stops.length + Number(slider.input.value), 0);
    for (const slider of sliders) slider.output.value = slider.stops[slider.input.value];
    const cut = stacks.map(([name, all, { length, rows }]) => {
      const start = rows ? rows[frame] * length : all.length > length ? frame * length : 0;  // one row: the same in all
      return [name, all.subarray(start, start + length)];
    });
    show({ ...scene, ...frames[frame], ...Object.fromEntries(cut) });
  };
  for (const slider of sliders) {
    const label = form.appendChild(document.createElement("label"));
    slider.input = slider.menu ? menu(slider.stops)
      : Object.assign(document.createElement("input"), { type: "range", min: 0, max: slider.stops.length - 1 });
    slider.input.value = slider.start;
    slider.output = document.createElement("output");
    label.append(slider.label, slider.input, ...(slider.menu ? [] : [slider.output]));
    slider.input.oninput = () => {
      slider.input.setAttribute("aria-valuetext", slider.stops[slider.input.value]);
      update();
    };
    if (slider.play) form.append(player(slider));
  }
  update();
}

function menu(stops) {
  const select = document.createElement("select");
  select.append(...stops.map((stop, i) => new Option(stop, i)));
  return select;
}

// A button that moves a slider to its end, ten stops a second.
function player({ input, stops }) {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Play" });
  let timer = 0;
  button.onclick = () => {
    clearInterval(timer);
    if (button.textContent === "Pause") return (button.textContent = "Play");
    button.textContent = "Pause";
    if (Number(input.value) === stops.length - 1) input.value = -1;
    timer = setInterval(() => {
      input.value = Number(input.value) + 1;
      input.oninput();
      if (Number(input.value) === stops.length - 1) button.onclick();
    }, 100);
  };
  return button;
}
