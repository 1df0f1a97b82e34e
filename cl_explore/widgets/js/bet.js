// A bet: one radio button an option, of which the kernel learns the one that is picked.
let count = 0;

function render({ model, el }) {
  const [set, legend] = ["fieldset", "legend"].map((name) => document.createElement(name));
  const group = `clx-bet-${count++}`;
  legend.textContent = `Bet: ${model.get("question")}`;
  set.className = "clx-bet";
  set.append(legend);
  for (const option of model.get("options")) {
    const [label, input] = ["label", "input"].map((name) => document.createElement(name));
    Object.assign(input, { type: "radio", name: group, value: option, checked: model.get("pick") === option });
    input.dataset.lmSuppressShortcuts = "true";  // JupyterLab would take the arrow keys
    input.addEventListener("change", () => {
      model.set("pick", option);
      model.save_changes();
    });
    label.append(input, ` ${option}`);
    set.append(label);
  }
  const follow = () => {
    for (const input of set.querySelectorAll("input")) input.checked = input.value === model.get("pick");
  };
  model.on("change:pick", follow);
  el.append(set);
  // the list of options, which stands before the buttons for where no kernel draws them
  requestAnimationFrame(() => {
    const before = el.closest(".jp-OutputArea-child")?.previousElementSibling;
    if (before?.querySelector(".clx-options")) before.hidden = true;
  });
  return () => model.off("change:pick", follow);
}

export default { render };
