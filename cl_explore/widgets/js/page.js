// Where pictures come from: `live` from a kernel, `still` from frames that came with the page.

import { linked } from "./near.js";
import { mount } from "./view.js";

// The value in which every { $: ... } is replaced by what `find` gives for it.
export function resolved(node, find) {
  if (node === null || typeof node !== "object") return node;
  if (Array.isArray(node)) return node.map((part) => resolved(part, find));
  if ("$" in node) return find(node.$);
  return Object.fromEntries(Object.entries(node).map(([name, part]) => [name, resolved(part, find)]));
}

export function decoded(spec, data) {
  // A buffer may start anywhere in a message, floats only at multiples of four: hence the copy.
  const buffer = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
  const kinds = { f4: Float32Array, u1: Uint8Array };
  return resolved(JSON.parse(spec), ([type, start, length]) => new kinds[type](buffer, start, length));
}

// Puts the options of a menu under the headings they have; ipywidgets itself knows flat menus only.
export function gather(select, families) {
  const at = select.selectedIndex;
  let group;
  for (const option of select.querySelectorAll(":scope > option")) {
    const label = families[option.value];
    if (!label) continue;
    if (group?.label !== label) option.before(group = Object.assign(document.createElement("optgroup"), { label }));
    group.append(option);
  }
  if (group) select.selectedIndex = at;
}

// Gives every control of a panel the name that stands before it, as ipywidgets does not, every slider the value that
// stands behind it, where it says its logarithm or a place in a list, and every menu its headings (a box to tick has a
// name); keeps JupyterLab from taking the arrow keys from what has the focus.
export function tend(home, families) {
  const parts = ".noUi-handle, input:not([type=checkbox]), select, .widget-readout, .noUi-target";
  const tidy = () => {
    for (const part of home.querySelectorAll(parts)) {
      if (part.hasAttribute("aria-label")) continue;
      const control = part.closest(".widget-inline-hbox, .jupyter-widgets:not(.widget-box)");
      const label = control?.querySelector(".widget-label");
      if (label?.textContent) part.setAttribute("aria-label", label.textContent);
    }
    for (const handle of home.querySelectorAll(".noUi-handle")) {
      const said = handle.closest(".widget-inline-hbox")?.querySelector(".widget-readout")?.textContent;
      if (said) handle.setAttribute("aria-valuetext", said);
    }
    for (const select of home.querySelectorAll("select")) gather(select, families);
  };
  tidy();
  const watch = new MutationObserver(tidy);
  watch.observe(home, { childList: true, subtree: true });
  home.addEventListener("focusin", ({ target }) => { target.dataset.lmSuppressShortcuts = "true"; });
  return watch;
}

// Hides the output with the still picture, which stands before a panel for where no kernel draws it.
function hideStill(el) {
  const before = el.closest(".jp-OutputArea-child")?.previousElementSibling;
  if (before?.querySelector("img")) before.hidden = true;
}

export function live({ model, el }) {
  let watch, timer = 0, count = 0;
  // An animating kernel numbers its frames and waits when too many are unseen: it never runs ahead of a slow page, nor
  // on without one. Ten answers a second do, as each costs more than drawing a frame.
  function drawn() {
    if (!watch) {
      watch = tend(el.closest(".clx-panel") ?? el, model.get("families"));
      hideStill(el);
    }
    if (model.get("tick")) timer ||= setTimeout(() => {
      timer = 0;
      model.send({ drawn: model.get("tick") });
    }, 100);
  }
  function send(knobs) {
    model.set("moved", { knobs, count: ++count });
    model.save_changes();
  }
  const { show, stop } = mount(el.appendChild(document.createElement("div")), send, drawn, () => model.get("sheet"));
  let shown = [];
  const update = () => {
    const [spec, data] = [model.get("spec"), model.get("data")];  // one may change without the other
    if (spec !== shown[0] || data !== shown[1]) show(decoded(spec, data), model.get("tick") > 0);
    shown = [spec, data];
  };
  model.on("change", update);
  update();
  return () => {
    model.off("change", update);
    watch?.disconnect();
    stop();
  };
}

const KINDS = { Uint8Array, Int8Array, Int16Array, Int32Array };
export function unpacked({ type, data, scale }) {
  const raw = new KINDS[type](Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0)).buffer);
  if (type === "Uint8Array") return raw;
  const none = -(2 ** (8 * raw.BYTES_PER_ELEMENT - 1));
  return Float32Array.from(raw, (value) => (value === none ? NaN : value * scale));
}

// The frame at the places of the sliders, of which the last turns fastest.
export const frameAt = (stops, places) => stops.reduce((frame, count, i) => frame * count + places[i], 0);

export function still(root, { frames, shared, sliders, sheet }) {
  const known = new Map();
  let chosen = {};
  const find = (place) => {
    if (!known.has(place)) {
      const part = shared[place];
      known.set(place, part.data ? unpacked(part) : resolved(part, find));
    }
    return known.get(place);
  };
  root.replaceChildren();
  const form = root.appendChild(Object.assign(document.createElement("div"), { className: "clx-sliders" }));
  const { show } = mount(root.appendChild(document.createElement("div")), (knobs) => {
    for (const slider of sliders) if (slider.name in knobs) {
      const far = slider.values.map((value) => Math.abs(value - knobs[slider.name]));
      slider.input.value = far.indexOf(Math.min(...far));
    }
    chosen = knobs;
    update();
  }, () => {}, () => sheet);
  const update = () => {
    for (const { input, output, stops } of sliders) {
      output.value = stops[input.value];
      input.setAttribute("aria-valuetext", stops[input.value]);
    }
    const frame = frameAt(sliders.map(({ stops }) => stops.length), sliders.map(({ input }) => Number(input.value)));
    show(linked(resolved(frames[frame], find), chosen));
  };
  for (const slider of sliders) {
    const label = form.appendChild(document.createElement("label"));
    slider.input = slider.menu ? menu(slider.stops)
      : Object.assign(document.createElement("input"), { type: "range", min: 0, max: slider.stops.length - 1 });
    slider.input.value = slider.start;
    slider.input.oninput = update;
    slider.output = document.createElement("output");
    label.append(slider.label, slider.input, ...(slider.menu ? [] : [slider.output]));
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
    if (button.textContent === "Pause") return void (button.textContent = "Play");
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
