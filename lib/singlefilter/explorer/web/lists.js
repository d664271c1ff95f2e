// Lists: the filters of a layer, the clusters of a filter with pictures of their labels, and its noise.

const ROWS = 200; // of a list that are shown at first
const PICTURES_OF = 24; // labels of a cluster that are shown with a picture at first

// A label with its picture, where there is one; a click asks for it.
function chip(label, onLabel, more = "") {
  const parts = [];
  if (DATA.pictures) {
    const { columns, rows } = DATA.pictures;
    const at = [label % columns, Math.floor(label / columns)];
    const part = (place, of) => (of > 1 ? (100 * place) / (of - 1) : 0);
    parts.push(make("span", {
      class: "picture",
      style: `background-size:${columns * 100}% ${rows * 100}%;background-position:${part(at[0], columns)}% ${part(at[1], rows)}%`,
    }));
  }
  parts.push(make("span", { class: "label" }, nameOf(label)));
  if (more) parts.push(make("span", { class: "faint" }, more));
  const on = state.label === label;
  return make("button", { type: "button", class: on ? "chip on" : "chip", title: `${nameOf(label)}: which filters recognise it?`,
    onclick: () => onLabel(label) }, ...parts);
}

// Some of many, and a button for the rest.
function someOf(items, most, shown) {
  if (items.length <= most) return items.map(shown);
  const rest = items.slice(most);
  const more = make("button", { type: "button", class: "more", onclick: () => more.replaceWith(...rest.map(shown)) },
    `${number(rest.length)} more`);
  return [...items.slice(0, most).map(shown), more];
}

function drawClusters(host, found, onLabel) {
  const ranked = members(found.clusterOf);
  if (!ranked.length) {
    host.replaceChildren(make("p", { class: "empty" }, "This filter has no cluster at this threshold: no label has a one on the diagonal."));
    return;
  }
  const one = ({ labels }, place) =>
    make(
      "section",
      { class: "cluster", "data-size": labels.length },
      make("h3", {}, make("i", { style: `background:${clusterColour(place)}` }), `Cluster ${letter(place)}`,
        make("span", { class: "faint" }, labels.length === 1 ? "1 label" : `${labels.length} labels`)),
      make("div", { class: "chips" }, ...someOf(labels, PICTURES_OF, (label) => chip(label, onLabel)))
    );
  host.replaceChildren(...someOf(ranked.map((cluster, place) => ({ ...cluster, place })), 40, (cluster) => one(cluster, cluster.place)));
}

// Outputs and labels with the most ones outside every square.
function drawNoise(host, found, onLabel) {
  const ofOutput = new Array(K).fill(0);
  const ofTruth = new Array(K).fill(0);
  for (let output = 0; output < K; output++) {
    for (let truth = 0; truth < K; truth++) {
      if (!found.ones[output * K + truth]) continue;
      if (found.clusterOf[truth] >= 0 && found.clusterOf[truth] === found.clusterOf[output]) continue;
      ofOutput[output]++;
      ofTruth[truth]++;
    }
  }
  const most = (counts) =>
    counts.map((many, label) => ({ many, label })).filter((one) => one.many).sort((a, b) => b.many - a.many || a.label - b.label).slice(0, 6);
  const list = (title, counts) =>
    make("div", {}, make("h4", {}, title), make("div", { class: "chips" }, ...most(counts).map(({ many, label }) => chip(label, onLabel, `× ${many}`))));
  host.replaceChildren(
    ...(found.noise
      ? [list("outputs it favours wrongly", ofOutput), list("images it mistakes", ofTruth)]
      : [make("p", { class: "empty" }, "No ones outside the squares.")])
  );
}

// The filters of a layer, sorted; with a label, those that recognise it alone.
function sortedFilters(filters) {
  const kept = state.label === null ? [...filters] : filters.filter((one) => one.clusterOf[state.label] >= 0);
  if (state.sort !== "number") kept.sort((a, b) => b[state.sort] - a[state.sort] || a.filter - b.filter);
  return kept;
}

function drawFilters(host, filters, onFilter) {
  const rows = sortedFilters(filters);
  const most = Math.max(1, ...filters.map((one) => one.covered));
  const loudest = Math.max(1, ...filters.map((one) => one.noise));
  const part = (kind, value, of) => make("span", { class: `meter ${kind}` }, make("span", { style: `width:${((100 * value) / of).toFixed(1)}%` }));
  const row = (one) =>
    make(
      "div",
      { class: "row", role: "option", id: `filter-${one.filter}`, "aria-selected": String(one.filter === state.filter), onclick: () => onFilter(one.filter) },
      make("span", { class: "number" }, String(one.number)),
      make("span", {}, String(one.clusters)),
      make("span", { class: "with-meter" }, String(one.covered), part("covered", one.covered, most)),
      make("span", {}, String(one.largest)),
      make("span", { class: "with-meter" }, number(one.noise), part("noise", one.noise, loudest))
    );
  // The filter that is shown is in the list, however far down it stands.
  const place = rows.findIndex((one) => one.filter === state.filter);
  const first = place < ROWS ? ROWS : place + 1;
  host.replaceChildren(...someOf(rows, first, row));
  if (!rows.length) host.append(make("p", { class: "empty" }, `No filter of this layer recognises ${nameOf(state.label)} at this threshold.`));
  const on = host.querySelector("[aria-selected=true]");
  if (on) {
    host.setAttribute("aria-activedescendant", on.id);
    const [box, frame] = [on.getBoundingClientRect(), host.getBoundingClientRect()];
    if (box.top < frame.top) host.scrollTop -= frame.top - box.top;
    if (box.bottom > frame.bottom) host.scrollTop += box.bottom - frame.bottom;
  } else host.removeAttribute("aria-activedescendant");
  return rows;
}
