// How a panel gets onto the page: `mount` makes title, canvas and read-out; `live` feeds it from a kernel, `still` from
// frames that came with the page. A panel is { height(width), draw(ctx, width, height, data, view), drag?(view, dx, dy),
// turns?(data) }: draw returns what can be hovered, { x, y, tip(i) }, or nothing; turns says whether dragging does anything.

function mount(root, panel, drawn = () => {}) {
  root.classList.add("clx");
  root.innerHTML = `<div class="clx-title"></div><canvas role="img"></canvas>
    <div class="clx-readout" aria-live="polite"></div><div class="clx-status" role="status"></div>`;
  const [title, canvas, readout, status] = root.children, ctx = canvas.getContext("2d");
  const view = {};  // what the reader did to the picture itself
  let data, targets, over = -1, held = null, waiting = 0, fresh = false;

  function paint() {
    waiting = 0;
    const width = canvas.clientWidth, ratio = window.devicePixelRatio || 1;
    if (!data || !width) return;
    const height = panel.height(width);
    canvas.style.height = `${height}px`;
    canvas.width = Math.round(width * ratio);  // setting the size also clears
    canvas.height = Math.round(height * ratio);
    ctx.scale(ratio, ratio);
    targets = panel.draw(ctx, width, height, data, view);
    canvas.tabIndex = targets || turns() ? 0 : -1;  // only what answers to keys is on the reader's way through the page
    if (targets && over >= 0 && over < targets.x.length)
      tooltip(ctx, width, height, targets.x[over], targets.y[over], targets.tip(over));
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
  const turns = () => panel.drag && (panel.turns?.(data) ?? true);
  canvas.onpointerdown = (event) => { held = turns() && [event.offsetX, event.offsetY]; };
  canvas.onpointerup = () => { held = null; };
  canvas.onpointerleave = () => { held = null; point(-1); };
  canvas.onpointermove = (event) => {
    if (!held) return point(nearest(event.offsetX, event.offsetY));
    panel.drag(view, event.offsetX - held[0], event.offsetY - held[1]);
    held = [event.offsetX, event.offsetY];
    request();
  };
  canvas.onkeydown = (event) => {
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
    if (!dx && !dy) return;
    event.preventDefault();
    if (turns()) panel.drag(view, 20 * dx, 20 * dy);
    else if (targets) {
      point((over + dx + dy + targets.x.length) % targets.x.length);
      status.textContent = targets.tip(over).lines.join(", ");
    }
    request();
  };
  new ResizeObserver(request).observe(canvas);

  return function show(next) {
    data = next;
    fresh = true;
    title.textContent = data.title;
    canvas.setAttribute("aria-label", data.alt);
    readout.setAttribute("aria-live", data.moving ? "off" : "polite");  // thirty numbers a second are no help
    readout.replaceChildren(...data.readout.map(([label, value]) => {
      const cell = document.createElement("span"), strong = document.createElement("b");
      strong.textContent = value;
      cell.append(label, " ", strong);
      return cell;
    }));
    status.textContent = data.status ?? "";
    request();
  };
}

// JupyterLab takes the arrow keys from whatever has the focus, unless that very element says otherwise.
function keepKeys(home) {
  home.addEventListener("focusin", ({ target }) => { target.dataset.lmSuppressShortcuts = "true"; });
  return home;
}

function live(panel, { model, el }) {
  // Buffers may start anywhere in a message, floats only at multiples of four: hence the copy.
  const floats = (value) => value instanceof DataView
    ? new Float32Array(value.buffer.slice(value.byteOffset, value.byteOffset + value.byteLength)) : value;
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
  const show = mount(el.appendChild(document.createElement("div")), panel, drawn);
  const update = () => show({ ...decode(model.get("scene")), ...decode(model.get("frame")) });
  model.on("change", update);  // once, when scene and frame change together
  update();
  return () => model.off("change", update);
}

function still(panel, root, { scene, frames, arrays, sliders }) {
  const bytes = (data) => Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0)).buffer;
  const kinds = { Int16Array, Int32Array };
  const unpack = ({ type, data, scale }) => Float32Array.from(new kinds[type](bytes(data)), (value) => value * scale);
  const stacks = Object.entries(arrays).map(([name, stack]) => [name, unpack(stack), stack.length]);
  root.replaceChildren();
  const form = root.appendChild(document.createElement("div"));
  form.className = "clx-sliders";
  const show = mount(root.appendChild(document.createElement("div")), panel);
  const update = () => {
    const frame = sliders.reduce((index, slider) => index * slider.stops.length + Number(slider.input.value), 0);
    for (const slider of sliders) slider.output.value = slider.stops[slider.input.value];
    const cut = stacks.map(([name, all, length]) => {
      const start = all.length > length ? frame * length : 0;  // one row only: the same in all frames
      return [name, all.subarray(start, start + length)];
    });
    show({ ...scene, ...frames[frame], ...Object.fromEntries(cut) });
  };
  for (const slider of sliders) {
    const label = form.appendChild(document.createElement("label"));
    slider.input = Object.assign(document.createElement("input"), { type: "range", min: 0, max: slider.stops.length - 1 });
    slider.input.value = slider.start;
    slider.output = document.createElement("output");
    label.append(slider.label, slider.input, slider.output);
    slider.input.oninput = () => {
      slider.input.setAttribute("aria-valuetext", slider.stops[slider.input.value]);
      update();
    };
    if (slider.play) form.append(player(slider));
  }
  update();
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
