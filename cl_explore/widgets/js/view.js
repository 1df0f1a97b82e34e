// A picture in the page: title, rows of charts, read-out and status; in the colours of the page around it.

import { THEMES } from "./paint.js";
import { legendOf, makeChart } from "./chart.js";

// JupyterLab and pages made by nbconvert say which theme they have; other pages follow the reader's own setting.
export function themeOf(body, prefersDark) {
  const light = body.dataset.jpThemeLight;
  return THEMES[(light === undefined ? prefersDark : light === "false") ? "dark" : "light"];
}

// Only what is new, as every change makes the page lay itself out again.
const write = (node, words) => {
  if (node.textContent !== words) node.textContent = words;
};
const add = (parent, name) => Object.assign(parent.appendChild(document.createElement("div")), { className: name });

// `send` takes knobs that the reader has set on the picture itself; `drawn` is called when a new picture is painted;
// `sheet` gives the small pictures that the pointer shows.
export function mount(root, send, drawn, sheet) {
  root.classList.add("clx");
  const title = add(root, "clx-title"), body = add(root, "clx-rows"), readout = add(root, "clx-readout");
  const status = add(root, "clx-status");
  status.setAttribute("role", "status");
  const night = window.matchMedia("(prefers-color-scheme: dark)");
  let picture, charts = [], widths = null, shape = "", waiting = 0, fresh = false, theme;

  function paint() {
    waiting = 0;
    if (!picture) return;
    // Asked for only when one has changed, as new words make the page lay itself out before it answers.
    widths ??= charts.map(({ canvas }) => canvas.clientWidth);
    charts.forEach((chart, i) => chart.paint(theme, widths[i]));
    if (fresh) drawn();
    fresh = false;
  }
  const again = () => { waiting ||= requestAnimationFrame(paint); };
  const sizes = new ResizeObserver(() => {
    widths = null;
    again();
  });

  function build() {
    body.replaceChildren();
    sizes.disconnect();
    widths = null;
    charts = picture.rows.flatMap((columns) => {
      const row = add(body, "clx-row");
      return columns.flatMap((column) => {
        const home = add(row, "clx-column");
        home.style.flexGrow = Math.max(...column.map(({ look }) => look.width));
        return column.map(() => makeChart(add(home, "clx-chart"), { again, send, sheet, say: (words) => say(words) }));
      });
    });
    for (const { canvas } of charts) sizes.observe(canvas);
  }
  const say = (words) => write(status, words);

  function recolour() {
    theme = themeOf(document.body, night.matches);
    for (const [name, colour] of Object.entries(theme)) root.style.setProperty(`--clx-${name}`, colour);
    if (picture) show(picture);
  }

  function show(next, moving = false) {
    picture = next;
    fresh = true;
    const lines = picture.rows.map((columns) => columns.map((column) => column.map(({ look }) => look.width)));
    if (JSON.stringify(lines) !== shape) build();
    shape = JSON.stringify(lines);
    write(title, picture.title);
    const alt = [picture.alt, ...picture.readout.map((pair) => pair.join(" "))].join("; ");
    const key = (marks) => legendOf(marks, theme);
    const specs = picture.rows.flat(2);
    charts.forEach((chart, i) => chart.show(specs[i], i ? "" : alt, key));  // said once, at the first chart
    readout.setAttribute("aria-live", moving ? "off" : "polite");  // thirty numbers a second are no help
    if (readout.children.length !== picture.readout.length)
      readout.replaceChildren(...picture.readout.map(() => document.createElement("span")));
    picture.readout.forEach(([label, value], i) => {
      const cell = readout.children[i];
      if (!cell.firstChild) cell.append(document.createElement("span"), " ", document.createElement("b"));
      write(cell.firstChild, label);
      write(cell.lastChild, value.replace(/^-/, "\u2212"));
    });
    say(picture.status);
    again();
  }

  const pages = new MutationObserver(recolour);
  pages.observe(document.body, { attributeFilter: ["data-jp-theme-light"] });
  night.addEventListener("change", recolour);
  recolour();
  const stop = () => {
    sizes.disconnect();
    pages.disconnect();
    night.removeEventListener("change", recolour);
  };
  return { show, stop };
}
