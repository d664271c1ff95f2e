// What can be chosen: views, filters, labels, thresholds; by pointer and by keyboard alone.

function segments(host, name, options, onChoose) {
  const buttons = options.map(([value, text, title]) =>
    make("button", { type: "button", "data-value": value, title, onclick: () => onChoose(value) }, text)
  );
  at(host).replaceChildren(...buttons);
  return () => buttons.forEach((button) => button.setAttribute("aria-pressed", String(state[name] === button.dataset.value)));
}

const views = segments("views", "view",
  [["filter", "One filter"], ["compare", "Two filters"], ["label", "One label"], ["afcc", "AFCC"]],
  (view) => change({ view, label: view === "label" ? state.label ?? 0 : state.label }));
const orders = segments("orders", "order", [["clusters", "by clusters"], ["labels", "by labels"]], (order) => change({ order }));
const shows = segments("shows", "show", [["ones", "clip"], ["field", "field"]], (show) => change({ show }));
const sorts = segments("sorts", "sort",
  [["number", "filter", "Sort by number"], ["clusters", "clusters", "Sort by the number of clusters"], ["covered", "labels", "Sort by labels in clusters"],
    ["largest", "largest", "Sort by the size of the largest cluster"], ["noise", "noise", "Sort by noise"]],
  (sort) => change({ sort }));
segments("picks", "", [
  ["typical", "typical", "The filter in the middle of its layer"], ["best", "best", "Most ones inside squares, then least noise"],
  ["noise", "most noise", "Most ones outside every square"], ["none", "none", "A filter without any cluster"],
], pick);

function pick(kind) {
  const found = chosen(kind, countsOf(state.layer, state.k).filters);
  if (found) change({ filter: found.filter, label: null });
}

function chooseLabel(label) {
  change({ label: state.label === label && state.view !== "label" ? null : label });
}

function search(text, enter) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return change({ label: null });
  const names = DATA.names.map((_, label) => nameOf(label).toLowerCase());
  const exact = names.indexOf(wanted);
  const near = names.flatMap((name, label) => (name.includes(wanted) ? [label] : []));
  if (exact >= 0) change({ label: exact });
  else if (near.length === 1 || (enter && near.length)) change({ label: near[0] });
  else if (!near.length) say(`No label is called ${text.trim()}.`);
  if (near.length) say("");
}

function otherChoices() {
  const [layers, filters] = [at("other-layer"), at("other-filter")];
  if (!layers.options.length) layers.append(...LAYERS.map((layer) => make("option", { value: layer.place }, layer.name)));
  layers.value = state.other.layer;
  if (filters.dataset.layer !== String(state.other.layer)) {
    filters.replaceChildren(...LAYERS[state.other.layer].numbers.map((name, filter) => make("option", { value: filter }, String(name))));
    filters.dataset.layer = state.other.layer;
  }
  filters.value = state.other.filter;
}

at("other-layer").addEventListener("change", (event) => {
  const layer = Number(event.target.value);
  change({ other: { layer, filter: LAYERS[layer].first } });
});
at("other-filter").addEventListener("change", (event) => change({ other: { ...state.other, filter: Number(event.target.value) } }));
at("threshold").addEventListener("input", (event) => change({ k: Number(event.target.value) }));
at("search").addEventListener("input", (event) => search(event.target.value, false));
at("search").addEventListener("keydown", (event) => event.key === "Enter" && search(event.target.value, true));
at("clear").addEventListener("click", () => {
  at("search").value = "";
  change({ label: null, view: state.view === "label" ? "filter" : state.view });
});
window.addEventListener("hashchange", () => follow(location.hash));

function follow(hash) {
  const missing = fromLink(hash);
  say(missing.length ? `This page has no ${missing.join(", no ")}; the link is followed as far as it goes.` : "");
  render();
}

// ------------------------------------------------------------------ keys

const KEYS = [
  ["[ ]", "layer before, layer after", { "[": () => step("layer", -1), "]": () => step("layer", 1) }],
  ["p n", "filter before, filter after, in the order of the list", { p: () => step("filter", -1), n: () => step("filter", 1) }],
  ["− +", "threshold lower, higher", { "-": () => step("k", -1), "+": () => step("k", 1), "=": () => step("k", 1) }],
  ["o", "labels by clusters, or as they are", { o: () => change({ order: state.order === "clusters" ? "labels" : "clusters" }) }],
  ["f", "clip, or the field itself", { f: () => change({ show: state.show === "ones" ? "field" : "ones" }) }],
  ["t b m 0", "typical, best, most noise, none", { t: () => pick("typical"), b: () => pick("best"), m: () => pick("noise"), 0: () => pick("none") }],
  ["1 2 3 4", "one filter, two filters, one label, AFCC", Object.fromEntries(VIEWS.map((view, place) => [place + 1, () => at("views").children[place].click()]))],
  ["/", "search a label", { "/": () => at("search").focus() }],
  ["?", "this list", { "?": () => at("keys").showModal() }],
  ["← ↑ → ↓", "in a matrix: from element to element; in lists: up and down", {}],
];
const ACTIONS = Object.assign({}, ...KEYS.map(([, , actions]) => actions));

function step(what, by) {
  if (what === "layer") {
    const place = state.layer + by;
    if (LAYERS[place]) goToLayer(place);
  } else if (what === "k") {
    const k = Math.max(LOWEST, Math.min(HIGHEST, state.k + by));
    if (k !== state.k) change({ k });
  } else if (listed.length) {
    const place = listed.findIndex((one) => one.filter === state.filter);
    const next = listed[place < 0 ? 0 : Math.max(0, Math.min(listed.length - 1, place + by))];
    if (next.filter !== state.filter) change({ filter: next.filter });
  }
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches?.("input[type=search], select, dialog *");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) {
    if (event.key === "Escape" && event.target === at("search")) at("clear").click();
    return;
  }
  const action = ACTIONS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});
at("list").addEventListener("keydown", (event) => {
  const by = { ArrowUp: -1, ArrowDown: 1, PageUp: -10, PageDown: 10, Home: -1e9, End: 1e9 }[event.key];
  if (by === undefined) return;
  event.preventDefault();
  step("filter", by);
});
at("strip").addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
  if (by === undefined) return;
  event.preventDefault();
  step("layer", by);
});
