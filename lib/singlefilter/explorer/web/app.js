// The page: what the parts show, what is chosen, keys, downloads.

const at = (id) => document.getElementById(id);
const matrix = matrixIn(at("matrix"));
const other = matrixIn(at("other-matrix"));
const timers = {};
let listed = []; // the filters of the list, in its order

function change(changes) {
  Object.assign(state, changes);
  render();
}

function goToLayer(place) {
  change({ layer: place, filter: LAYERS[place].first });
}

function say(text) {
  at("status").textContent = text;
  at("status").hidden = !text;
}

// Do it when nothing newer has come: what takes longer than a picture follows it.
function later(name, task, wait = 0) {
  clearTimeout(timers[name]);
  timers[name] = setTimeout(task, wait);
}

let asked = 0;

async function render() {
  const mine = ++asked;
  delete document.body.dataset.settled;
  await unpack(state.layer);
  if (state.view === "compare") await unpack(state.other.layer);
  if (mine !== asked) return; // something newer is on its way
  remember();
  drawNow();
  later("rest", () => drawRest(mine));
}

function remember() {
  const link = asLink();
  if (location.hash === link) return;
  try {
    history.replaceState(null, "", link);
  } catch {
    // a page inside a frame has no address of its own
  }
}

function drawNow() {
  const layer = LAYERS[state.layer];
  document.body.dataset.view = state.view;
  at("threshold").value = state.k;
  at("threshold-value").textContent = (state.k / 100).toFixed(2);
  for (const group of [views, orders, shows, sorts]) group();
  const levels = levelsOf(state.layer, state.filter);
  const found = analysed(levels, K, state.k);
  const order = state.order === "clusters" ? displayOrder(found.clusterOf) : DATA.names.map((_, label) => label);
  const name = titleOf(layer, state.filter);
  at("name").textContent = name;
  drawSummary(at("summary"), found);
  const common = { order, show: state.show, k: state.k, label: state.label };
  matrix.draw({ ...common, levels, found, own: state.order === "clusters", title: spokenOf(name, found), mark: asLink() });
  if (state.view === "compare") {
    const second = levelsOf(state.other.layer, state.other.filter);
    const foundSecond = analysed(second, K, state.k);
    const secondName = titleOf(LAYERS[state.other.layer], state.other.filter);
    at("other-name").textContent = secondName;
    drawSummary(at("other-summary"), foundSecond);
    other.draw({ ...common, levels: second, found: foundSecond, own: false, title: spokenOf(secondName, foundSecond), mark: asLink() });
    drawPair(at("pair"), [found, foundSecond], ["the first", "the second"], chooseLabel);
    otherChoices();
  }
  if (state.view === "filter") {
    drawClusters(at("clusters"), found, chooseLabel);
    drawNoise(at("noise"), found, chooseLabel);
    at("noise-count").textContent = `${number(found.noise)} ones outside every square`;
  }
  drawLegend();
  at("clear").hidden = state.label === null;
  if (document.activeElement !== at("search")) at("search").value = state.label === null ? "" : nameOf(state.label);
}

function titleOf(layer, filter) {
  return `${layer.name}, filter ${layer.numbers[filter]}`;
}

function spokenOf(name, found) {
  return `${name} at threshold ${(state.k / 100).toFixed(2)}: ${found.clusters} clusters, ${found.noise} ones outside every square`;
}

// What needs every filter of the layer, then every layer; one layer at a time, so that nothing is held up.
async function drawRest(mine) {
  if (mine !== asked) return;
  const { filters, layer } = countsOf(state.layer, state.k);
  listed = drawFilters(at("list"), filters, (filter) => change({ filter }));
  drawStanding(at("standing"), filters, filters[state.filter]);
  drawTitles(filters, layer);
  at("picks").querySelectorAll("button").forEach((button) => {
    button.disabled = !chosen(button.dataset.value, filters);
  });
  drawLayers();
  for (const { place } of LAYERS) {
    if (isCounted(place, state.k) && unpacked.has(place)) continue;
    await new Promise((done) => later("layers", done, 15));
    await unpack(place);
    if (mine !== asked) return;
    countsOf(place, state.k);
    drawLayers();
  }
  if (state.view === "label") {
    const layers = LAYERS.map(({ place }) => countsOf(place, state.k));
    const label = state.label ?? 0;
    at("label-title").textContent = `${nameOf(label)}, through the layers`;
    drawLabel(at("label-body"), layers, label, (place, filter) => change({ layer: place, filter, view: "filter" }), chooseLabel);
  }
  if (state.view === "afcc") {
    const kept = [];
    for (let k = LOWEST; k <= HIGHEST; k += 1) {
      if (k % 5 && k !== state.k) continue;
      if (!isCounted(state.layer, k)) await new Promise((done) => later("layers", done));
      if (mine !== asked) return;
      kept.push([k / 100, countsOf(state.layer, k).layer.kept]);
    }
    drawAfcc(at("afcc-body"), state.layer, kept);
  }
  document.body.dataset.settled = asLink();
}

function drawLayers() {
  drawStrip(at("strip"), LAYERS.map(({ place }) => (isCounted(place, state.k) ? countsOf(place, state.k).layer.snr : null)), goToLayer);
}

function drawTitles(filters, layer) {
  const { name, accuracy, images } = LAYERS[state.layer];
  const [value, low, high] = accuracy.map(asNumber);
  const all = filters.length;
  at("filters-title").textContent =
    state.label === null ? `Filters of ${name}` : `${listed.length} of ${all} filters recognise ${nameOf(state.label)}`;
  const part = (title, text, id, said) => [make("span", { title: said }, title, " ", make("b", { id }, text)), " "];
  at("layer-numbers").replaceChildren(
    make("b", {}, name), " ",
    ...part("accuracy", percent(value), "layer-accuracy", `${percent(low)} to ${percent(high)}, 95 % interval, ${number(images)} ${DATA.tested} images`),
    ...part("Nc", fixed(layer.N_c), "layer-N_c", "clusters per filter"),
    ...part("Cs", fixed(layer.C_s), "layer-C_s", "labels per cluster"),
    ...part("n", fixed(layer.n, 1), "layer-n", "noise per filter, ones outside every square"),
    ...part("SNR", fixed(layer.snr), "layer-snr", "support of the right outputs over that of wrong ones")
  );
}

function drawSummary(host, found) {
  const sizes = members(found.clusterOf).map((cluster) => cluster.labels.length);
  const listedSizes = sizes.slice(0, 12).join(", ") + (sizes.length > 12 ? ", …" : "");
  const one = (title, text, kind, whole = text) => make("div", {}, make("dt", {}, title), make("dd", { class: kind, "data-value": whole }, text));
  host.replaceChildren(
    one("clusters", String(sizes.length), "n-clusters"),
    one("their sizes", listedSizes || "–", "sizes", sizes.join(",")),
    one("labels in clusters", `${found.covered} of ${K}`, "covered", String(found.covered)),
    one("noise n", number(found.noise), "noise", String(found.noise))
  );
}

function drawLegend() {
  const sample = (kind, text) => make("span", {}, make("i", { class: kind }), text);
  at("legend").replaceChildren(
    ...(state.show === "ones"
      ? [sample("clusters", "ones in a cluster"), sample("noise", "ones outside: noise"), sample("below", "below the threshold")]
      : [sample("low", "below zero"), sample("cell", "zero"), sample("high", "the filter's largest")])
  );
}

// ------------------------------------------------------------------ choices

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

// ------------------------------------------------------------------ downloads, link, theme

function download(blob, ending) {
  const link = make("a", { download: `layer-${LAYERS[state.layer].key}-filter-${LAYERS[state.layer].numbers[state.filter]}.${ending}`.replace(/[^\w.-]+/g, "-") });
  link.href = URL.createObjectURL(blob);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function asCsv() {
  const found = analysed(levelsOf(state.layer, state.filter), K, state.k);
  const quoted = (value) => (/[",\n\r]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
  const layer = LAYERS[state.layer];
  const rows = members(found.clusterOf).flatMap((cluster, place) =>
    cluster.labels.map((label) => [layer.key, layer.numbers[state.filter], (state.k / 100).toFixed(2), letter(place), cluster.labels.length, label, DATA.raw[label]])
  );
  return [["layer", "filter", "threshold", "cluster", "size", "label", "name"], ...rows].map((row) => row.map(quoted).join(",")).join("\n") + "\n";
}

function asPicture() {
  const drawn = matrix.canvas;
  const [side, edge] = [1000, 40];
  const picture = make("canvas", { width: side + 2 * edge, height: side + edge + 110 });
  const context = picture.getContext("2d");
  const style = getComputedStyle(document.body);
  context.fillStyle = style.backgroundColor;
  context.fillRect(0, 0, picture.width, picture.height);
  context.fillStyle = style.color;
  context.font = `600 28px ${style.fontFamily}`;
  context.fillText(at("name").textContent, edge, 48);
  context.font = `20px ${style.fontFamily}`;
  context.fillText(shortened(`${DATA.title}; threshold ${(state.k / 100).toFixed(2)}; ${at("summary").querySelector(".n-clusters").textContent} clusters, n = ${at("summary").querySelector(".noise").textContent}`, 95), edge, 82);
  context.imageSmoothingEnabled = false;
  context.drawImage(drawn, edge, 110, side, side);
  return picture;
}

at("csv").addEventListener("click", () => download(new Blob([asCsv()], { type: "text/csv" }), "csv"));
at("png").addEventListener("click", () => asPicture().toBlob((blob) => download(blob, "png"), "image/png"));
at("copy").addEventListener("click", async () => {
  remember();
  try {
    await navigator.clipboard.writeText(location.href.split("#")[0] + asLink());
    say("The link to what is shown is in the clipboard.");
  } catch {
    say(`This link leads here: ${asLink()}`);
  }
});
at("help").addEventListener("click", () => at("keys").showModal());
const dark = window.matchMedia("(prefers-color-scheme: dark)");
at("theme").addEventListener("click", () => {
  const now = document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
  document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
  repaint();
});
dark.addEventListener("change", repaint);
new ResizeObserver(() => later("size", () => [matrix, other].forEach((one) => one.again()), 50)).observe(at("main"));

function repaint() {
  readColours();
  render();
}

// ------------------------------------------------------------------ begin

function begin() {
  if (!("DecompressionStream" in window)) {
    say("This browser cannot unpack the data of the page (DecompressionStream): use Firefox 113, Chrome 80, Safari 16.4 or newer.");
    return;
  }
  at("title").textContent = DATA.title;
  at("about").textContent = DATA.about.map(([name, text]) => `${name}: ${text}`).join(" · ");
  at("made").textContent = `${DATA.made}. Everything is in this one file: it asks no server for anything.`;
  at("banner").textContent = DATA.banner ?? "";
  at("banner").hidden = !DATA.banner;
  const shown = LAYERS.reduce((sum, layer) => sum + layer.numbers.length, 0);
  const all = LAYERS.reduce((sum, layer) => sum + layer.filters, 0);
  at("part").hidden = shown === all;
  at("part").textContent = `A part: ${number(shown)} of ${number(all)} filters, evenly spread over each layer, since all of them would make this file too large. Numbers of layers are of the filters shown.`;
  at("labels").append(...DATA.names.map((_, label) => make("option", { value: nameOf(label) })));
  at("keys-table").append(...KEYS.map(([keys, text]) => make("tr", {}, make("td", {}, ...keys.split(" ").map((key) => make("kbd", {}, key))), make("td", {}, text))));
  if (DATA.pictures) document.documentElement.style.setProperty("--sprite", `url(data:image/png;base64,${DATA.pictures.png})`);
  readColours();
  follow(location.hash);
}

begin();
