// Three more views: two filters side by side, one label through the layers, and what AFCC keeps.

function drawPair(host, found, names, onLabel) {
  const [one, other] = found.map((each) => each.clusterOf);
  const labels = Array.from({ length: K }, (_, label) => label);
  const both = labels.filter((label) => one[label] >= 0 && other[label] >= 0);
  const only = [labels.filter((label) => one[label] >= 0 && other[label] < 0), labels.filter((label) => one[label] < 0 && other[label] >= 0)];
  let common = 0;
  found[0].ones.forEach((value, at) => (common += value && found[1].ones[at]));
  const group = (title, some) =>
    make("section", { class: "cluster" }, make("h3", {}, title, make("span", { class: "faint" }, `${some.length} labels`)),
      make("div", { class: "chips" }, ...someOf(some, PICTURES_OF, (label) => chip(label, onLabel))));
  host.replaceChildren(
    make("p", { class: "hint" }, `Ones at the same place: ${number(common)}, of ${names.map((name, at) => `${number(found[at].inside + found[at].noise)} in ${name}`).join(" and ")}.`),
    group("Recognised by both", both), group(`Only ${names[0]}`, only[0]), group(`Only ${names[1]}`, only[1])
  );
}

// Which filters recognise a label, layer by layer.  `layers`: what is counted of each.
function drawLabel(host, layers, label, onFilter, onLabel) {
  const rows = layers.map(({ filters }, place) => {
    const those = filters.filter((one) => one.clusterOf[label] >= 0).map((one) => {
      const mates = [];
      one.clusterOf.forEach((cluster, mate) => {
        if (cluster === one.clusterOf[label] && mate !== label) mates.push(mate);
      });
      return { ...one, mates };
    });
    those.sort((a, b) => b.mates.length - a.mates.length || a.filter - b.filter);
    const times = new Map();
    for (const { mates } of those) for (const mate of mates) times.set(mate, (times.get(mate) ?? 0) + 1);
    const often = [...times].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, 4);
    return { place, those, often, share: those.length / filters.length, size: those.reduce((sum, one) => sum + one.mates.length + 1, 0) / those.length };
  });
  const ticks = LAYERS.map((layer, at) => [at, LAYERS.length > 16 && at % 2 ? "" : shortened(layer.key, 7)]);
  const x = { from: 0, to: Math.max(1, LAYERS.length - 1), ticks };
  const line = (title, values, kind, text) =>
    lines({ title, xTitle: "layer", x, y: axisTo(Math.max(...values.filter(Number.isFinite), 0), text), marked: state.layer,
      series: [{ name: nameOf(label), class: kind, dots: true, points: values.map((value, at) => [at, value]) }] });
  const row = ({ place, those, often, share }) =>
    make("tr", { "data-layer": LAYERS[place].key },
      make("th", { scope: "row" }, shortened(LAYERS[place].key, 18)),
      make("td", { class: "many" }, make("b", {}, String(those.length)), make("span", { class: "faint" }, ` of ${layers[place].filters.length}, ${percent(share, 0)}`)),
      make("td", {}, make("div", { class: "chips" }, ...someOf(those, 8, (one) =>
        make("button", { type: "button", class: "filter-chip", title: `filter ${one.number}: a cluster of ${one.mates.length + 1} labels`, onclick: () => onFilter(place, one.filter) },
          String(one.number), make("span", { class: "faint" }, ` · ${one.mates.length + 1}`))))),
      make("td", {}, make("div", { class: "chips" }, ...often.map(([mate, many]) => chip(mate, onLabel, `× ${many}`)))));
  host.replaceChildren(
    make("div", { class: "pair" },
      line("Part of the filters that recognise it", rows.map((each) => each.share), "a", (value) => `${+(100 * value).toPrecision(6)} %`),
      line("Labels in its cluster, on average", rows.map((each) => each.size), "b")),
    make("div", { class: "scroll", tabindex: 0 }, make("table", {},
      make("thead", {}, make("tr", {}, ...["Layer", "Filters", "Which (number · size of the cluster)", "Most often together with"].map((name) => make("th", { scope: "col" }, name)))),
      make("tbody", {}, ...rows.map(row)))));
}

// AFCC of the head at a layer: what is kept at each threshold, and what was measured of it.  Section 8.
function drawAfcc(host, place, kept) {
  const layer = LAYERS[place];
  const x = { from: 0.1, to: 0.9, ticks: [0.1, 0.3, 0.5, 0.7, 0.9].map((value) => [value, value.toFixed(1)]) };
  const panels = [lines({
    title: `Kept fraction of the head at ${layer.name}`, xTitle: "threshold", x, marked: state.k / 100,
    y: axisTo(Math.max(...kept.map(([, value]) => value)), (value) => `${+(100 * value).toPrecision(6)} %`),
    series: [{ name: "labels in clusters / K, mean over filters", class: "a", points: kept }],
  })];
  const masked = layer.masked.map((row) => ({ ...row, threshold: asNumber(row.threshold) }));
  if (masked.length) {
    const points = (moment) => masked.filter((row) => row.method === "afcc" && row.moment === moment).sort((a, b) => a.threshold - b.threshold)
      .map((row) => [row.threshold, row.accuracy, row.low, row.high]);
    const dense = masked.find((row) => row.method === "dense" && row.moment === "after") ?? masked.find((row) => row.method === "dense");
    const level = dense ? [[0.1, dense.accuracy], [0.9, dense.accuracy]] : [];
    panels.push(lines({
      title: `Accuracy of it, mean of ${masked[0].seeds} ${masked[0].seeds === 1 ? "seed" : "seeds"}`, xTitle: "threshold", x, marked: state.k / 100,
      y: axisTo(Math.max(...masked.map((row) => row.high ?? row.accuracy)), (value) => `${+(100 * value).toPrecision(6)} %`),
      series: [
        { name: "all weights", class: "dense", points: level },
        { name: "masked", class: "b", dots: true, points: points("before") },
        { name: "masked and retrained", class: "a", dots: true, points: points("after") },
      ],
    }));
  }
  const now = kept.find(([threshold]) => Math.round(100 * threshold) === state.k);
  host.replaceChildren(
    make("p", { class: "hint" }, `Applying filter's cluster connections: of the head's weights those are kept whose label is in a cluster of their filter. At ${(state.k / 100).toFixed(2)}: `,
      make("b", { id: "kept" }, now ? percent(now[1]) : "…"), " kept.",
      masked.length ? " Accuracies are those of the profile's table masked_heads.csv (notebook 08)." : " Accuracy under such masks is shown where the profile has measured it (notebook 08)."),
    make("div", { class: "pair" }, ...panels));
}
