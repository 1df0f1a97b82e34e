// What pages do besides being read: contents on a narrow screen, light or dark, search, and unfolding for print.
/* global searchIndex */
{
  const root = document.currentScript.dataset.root;
  const [menu, theme] = [".menu", ".theme"].map((name) => document.querySelector(name));
  const [chapters, query, found] = ["chapters", "query", "found"].map((id) => document.getElementById(id));
  document.documentElement.classList.add("scripted");

  menu.addEventListener("click", () => {
    menu.setAttribute("aria-expanded", String(chapters.classList.toggle("open")));
  });

  // panels follow the attribute of the body, or the reader's own setting where there is none
  const night = window.matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => document.documentElement.dataset.theme;
  const isDark = () => (chosen() ? chosen() === "dark" : night.matches);
  const dress = () => {
    if (chosen()) document.body.dataset.jpThemeLight = String(!isDark());
    theme.textContent = isDark() ? "Light" : "Dark";
  };
  theme.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("theme", chosen()); } catch { /* pages without storage forget it */ }
    dress();
  });
  night.addEventListener("change", dress);
  dress();

  // the index comes when it is first asked for
  const load = () => {
    if (!document.querySelector("script[src$='search.js']"))
      document.head.append(Object.assign(document.createElement("script"), { src: `${root}search.js`, onload: look }));
  };
  const snippet = (text, word) => {
    const at = Math.max(0, text.toLowerCase().indexOf(word) - 50), part = text.slice(at, at + 140);
    const here = part.toLowerCase().indexOf(word), p = document.createElement("span");
    if (here < 0) p.append(part);
    else {
      const hit = Object.assign(document.createElement("mark"), { textContent: part.slice(here, here + word.length) });
      p.append(at ? "…" : "", part.slice(0, here), hit, part.slice(here + word.length), "…");
    }
    return p;
  };
  function look() {
    const phrase = query.value.toLowerCase().trim(), words = phrase.split(/\s+/).filter(Boolean);
    found.hidden = !words.length;
    if (typeof searchIndex === "undefined" || !words.length) return;
    const hits = searchIndex.map(([place, page, title, text]) => {
      const [head, whole] = [`${page} ${title}`.toLowerCase(), `${page} ${title} ${text}`.toLowerCase()];
      const better = words.filter((word) => head.includes(word)).length + words.length * whole.includes(phrase);
      return { place, page, title, text, score: words.every((word) => whole.includes(word)) ? 1 + better : 0 };
    }).filter(({ score }) => score).sort((a, b) => b.score - a.score).slice(0, 12);
    found.replaceChildren(...hits.map(({ place, page, title, text }) => {
      const link = Object.assign(document.createElement("a"), { href: root + place });
      const name = document.createElement("strong");
      name.textContent = title === page ? page : `${page}: ${title}`;
      link.append(name, snippet(text, text.toLowerCase().includes(phrase) ? phrase : words[0]));
      link.addEventListener("click", () => { found.hidden = true; });
      return link;
    }));
    if (!hits.length) found.append(Object.assign(document.createElement("p"), { textContent: "Nothing was found." }));
  }
  query.addEventListener("focus", load);
  query.addEventListener("input", look);
  query.form.addEventListener("submit", (event) => {
    event.preventDefault();
    found.querySelector("a")?.click();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") found.hidden = true;
    if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      query.focus();
    }
  });
  document.addEventListener("click", (event) => { if (!query.form.contains(event.target)) found.hidden = true; });

  // nobody can unfold a solution on paper
  window.addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("main details:not(.code)")) part.open = true;
  });
}
