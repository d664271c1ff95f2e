// The page: what its parts show of the state, first what is quick to draw, then the rest.

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
    at("noise-count").textContent = `${number(found.noise)} ones outside`;
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
  const symbol = (main, below) => make("span", { class: "symbol" }, main, make("sub", {}, below));
  const part = (title, text, id, said, exact) =>
    [make("span", { title: said }, title, " ", make("b", { id, "data-value": String(exact) }, text)), " "];
  at("layer-numbers").replaceChildren(
    make("b", {}, name), " ",
    ...part("accuracy", percent(value), "layer-accuracy", `${percent(low)} to ${percent(high)}, 95 % interval, ${number(images)} ${DATA.tested} images`, value),
    ...part(symbol("N", "c"), fixed(layer.N_c), "layer-N_c", "clusters per filter", layer.N_c),
    ...part(symbol("C", "s"), fixed(layer.C_s), "layer-C_s", "labels per cluster", layer.C_s),
    ...part("n", fixed(layer.n, 1), "layer-n", "noise per filter, ones outside every square", layer.n),
    ...part("SNR", fixed(layer.snr), "layer-snr", "support of the right outputs over that of wrong ones", layer.snr)
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
