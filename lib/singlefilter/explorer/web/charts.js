// Small charts: the layers of the network, where a filter stands in its layer, lines over layers and thresholds.

const percent = (share, digits = 1) => (Number.isFinite(share) ? `${(100 * share).toFixed(digits)} %` : "–");
const number = (value) => value.toLocaleString("en-US");

function fixed(value, digits = 2) {
  if (value === null || Number.isNaN(value)) return "–";
  return Number.isFinite(value) ? value.toFixed(digits) : "∞";
}

// Numbers of JSON: null is not a number, infinity is text.
const asNumber = (value) => (value === null ? NaN : Number(value));

// The strip: a button a layer, with bars for accuracy and SNR; `snrs` has null where it is not counted yet.
function drawStrip(host, snrs, onChoose) {
  const bars = snrs.filter((snr) => snr !== null && Number.isFinite(snr));
  const mostSnr = Math.max(1e-9, ...bars);
  const mostAccuracy = Math.max(1e-9, ...LAYERS.map((layer) => asNumber(layer.accuracy[0])));
  const bar = (kind, share) =>
    make("span", { class: `track ${kind}` }, make("span", { style: `height:${Math.max(2, 100 * share).toFixed(1)}%` }));
  const had = host.contains(document.activeElement);
  const buttons = LAYERS.map((layer) => {
    const accuracy = asNumber(layer.accuracy[0]);
    const snr = snrs[layer.place];
    const on = layer.place === state.layer;
    const said = `${layer.name}: accuracy ${percent(accuracy)}, SNR ${snr === null ? "not counted yet" : fixed(snr)}`;
    return make(
      "button",
      {
        type: "button", role: "radio", class: "layer", "aria-checked": String(on), tabindex: on ? 0 : -1,
        "aria-label": said, title: said, "data-layer": layer.key, onclick: () => onChoose(layer.place),
      },
      bar("accuracy", accuracy / mostAccuracy || 0),
      make("span", { class: "value" }, percent(accuracy, 0)),
      bar("snr", snr === null ? 0 : Number.isFinite(snr) ? snr / mostSnr : 1),
      make("span", { class: "value", "data-snr": layer.key }, snr === null ? "…" : fixed(snr)),
      make("span", { class: "key" }, shortened(layer.key, 14))
    );
  });
  host.replaceChildren(...buttons);
  if (had) buttons[state.layer].focus({ preventScroll: true });
  const [button, room] = [buttons[state.layer], host.clientWidth];
  const left = button.offsetLeft - host.offsetLeft;
  if (left < host.scrollLeft || left + button.offsetWidth > host.scrollLeft + room) host.scrollLeft = left - room / 2;
}

// Where a filter stands among those of its layer, one histogram for each of three counts.
function drawStanding(host, filters, one) {
  const kinds = [["clusters", "clusters"], ["covered", "labels in clusters"], ["noise", "noise n"]];
  host.replaceChildren(
    ...kinds.map(([name, title]) => {
      const values = filters.map((filter) => filter[name]);
      const above = values.filter((value) => value > one[name]).length;
      return make(
        "div",
        { class: "standing" },
        make("p", {}, make("span", {}, title), make("b", {}, number(one[name])),
          make("span", { class: "faint" }, above ? `${number(above)} of ${number(filters.length)} have more` : "the most")),
        histogram(values, one[name])
      );
    })
  );
}

function histogram(values, mark) {
  const [width, height] = [300, 34];
  const most = Math.max(1, ...values);
  const bins = Math.min(24, most + 1);
  const bin = (value) => Math.min(bins - 1, Math.floor((value / (most + 1)) * bins));
  const counts = new Array(bins).fill(0);
  for (const value of values) counts[bin(value)]++;
  const highest = Math.max(...counts);
  const step = width / bins;
  const bars = counts.map((many, at) => {
    const tall = many ? Math.max(2, (many / highest) * (height - 4)) : 0;
    const kind = at === bin(mark) ? "bar on" : "bar";
    return make("svg:rect", { x: at * step + 0.5, y: height - tall, width: step - 1, height: tall, class: kind });
  });
  const ends = make("div", { class: "ends" }, make("span", {}, "0"), make("span", {}, number(most)));
  const line = make("svg:line", { x1: 0, x2: width, y1: height, y2: height, class: "axis" });
  const box = { viewBox: `0 0 ${width} ${height + 1}`, class: "histogram", preserveAspectRatio: "none", "aria-hidden": "true" };
  return make("div", {}, make("svg:svg", box, ...bars, line), ends);
}

// Lines in one panel.  series: [{name, class, points: [[x, y, low, high]], dots}]; x and y ticks as [value, text].
function lines({ title, xTitle, x, y, series, marked }) {
  const width = Math.min(620, document.documentElement.clientWidth - 50); // so that text stays as large as it is
  const [height, left, top, right, bottom] = [230, 46, 14, 14, 40];
  const across = (value) => left + ((value - x.from) / (x.to - x.from || 1)) * (width - left - right);
  const up = (value) => height - bottom - ((value - y.from) / (y.to - y.from || 1)) * (height - top - bottom);
  const parts = [];
  for (const [value, text] of y.ticks) {
    parts.push(make("svg:line", { x1: left, x2: width - right, y1: up(value), y2: up(value), class: "grid" }));
    parts.push(make("svg:text", { x: left - 7, y: up(value) + 4, class: "tick end" }, text));
  }
  for (const [value, text] of x.ticks) {
    parts.push(make("svg:text", { x: across(value), y: height - bottom + 18, class: "tick middle" }, text));
  }
  parts.push(make("svg:text", { x: (left + width - right) / 2, y: height - 4, class: "tick middle" }, xTitle));
  if (marked !== undefined) {
    parts.push(make("svg:line", { x1: across(marked), x2: across(marked), y1: top, y2: height - bottom, class: "marked" }));
  }
  for (const one of series) {
    const points = one.points.filter(([, value]) => Number.isFinite(value));
    const path = points.map(([at, value]) => `${across(at).toFixed(1)},${up(value).toFixed(1)}`).join(" ");
    if (points.length > 1) parts.push(make("svg:polyline", { points: path, class: `line ${one.class}` }));
    for (const [at, value, low, high] of one.dots ? points : []) {
      if (Number.isFinite(low)) {
        parts.push(make("svg:line", { x1: across(at), x2: across(at), y1: up(low), y2: up(high), class: `line ${one.class}` }));
      }
      parts.push(make("svg:circle", { cx: across(at), cy: up(value), r: 4, class: `dot ${one.class}` }));
    }
  }
  const keys = series.map((one) => make("span", { class: "key-of" }, make("i", { class: one.class }), one.name));
  return make("figure", {}, make("figcaption", {}, make("b", {}, title), make("span", { class: "keys-of" }, ...keys)),
    make("svg:svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title, class: "chart" }, ...parts));
}

// Round steps from 0 to at least `most`, as axis: {from, to, ticks}.
function axisTo(most, text = (value) => String(value)) {
  const rough = (most || 1) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((size) => size >= rough);
  const count = Math.max(1, Math.ceil((most || 1) / step - 1e-9));
  const ticks = Array.from({ length: count + 1 }, (_, at) => +(at * step).toPrecision(12));
  return { from: 0, to: ticks.at(-1), ticks: ticks.map((value) => [value, text(value)]) };
}
