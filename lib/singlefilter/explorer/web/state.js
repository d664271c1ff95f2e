// What is shown, and the link that restores it: #layer=13&filter=42&threshold=0.3

const VIEWS = ["filter", "compare", "label", "afcc"];
const SORTS = ["number", "clusters", "covered", "largest", "noise"];
const LOWEST = 10;
const HIGHEST = 90;

const state = initial();

function initial() {
  const place = LAYERS.length - 1;
  const k = Math.min(HIGHEST, Math.max(LOWEST, Math.round(100 * DATA.threshold)));
  const first = LAYERS[place].first;
  return {
    layer: place,
    filter: first,
    k,
    view: "filter",
    order: "clusters",
    show: "ones",
    label: null,
    sort: "covered",
    other: { layer: place, filter: LAYERS[place].numbers.length > 1 ? (first === 0 ? 1 : 0) : 0 },
  };
}

function asLink() {
  const layer = LAYERS[state.layer];
  const parts = [
    ["layer", layer.key],
    ["filter", layer.numbers[state.filter]],
    ["threshold", (state.k / 100).toFixed(2)],
  ];
  const usual = initial();
  if (state.view !== usual.view) parts.push(["view", state.view]);
  if (state.view === "compare") {
    const other = LAYERS[state.other.layer];
    parts.push(["with", `${other.numbers[state.other.filter]}@${other.key}`]);
  }
  for (const name of ["order", "show", "sort"]) if (state[name] !== usual[name]) parts.push([name, state[name]]);
  if (state.label !== null) parts.push(["label", state.label]);
  return "#" + parts.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
}

// Take what a link says; what is not in this page is said and left as it is.
function fromLink(hash) {
  const asked = new URLSearchParams(hash.replace(/^#/, ""));
  const missing = [];
  const take = (name, read) => {
    if (!asked.has(name)) return;
    if (read(asked.get(name)) === false) missing.push(`${name} ${asked.get(name)}`);
  };
  const among = (name, values) => take(name, (value) => values.includes(value) && ((state[name] = value), true));
  take("layer", (key) => goTo(state, key, null));
  take("filter", (number) => goTo(state, LAYERS[state.layer].key, number));
  take("with", (text) => {
    const at = text.indexOf("@");
    return at > 0 && goTo(state.other, text.slice(at + 1), text.slice(0, at));
  });
  take("threshold", (text) => {
    const k = Math.round(100 * Number(text));
    return text !== "" && k >= LOWEST && k <= HIGHEST && ((state.k = k), true);
  });
  take("label", (text) => {
    const label = Number(text);
    return text !== "" && Number.isInteger(label) && label >= 0 && label < K && ((state.label = label), true);
  });
  among("view", VIEWS);
  among("order", ["clusters", "labels"]);
  among("show", ["ones", "field"]);
  among("sort", SORTS);
  return missing;
}

// Point at a layer by its key and a filter by its number (null: the one worth seeing first); false where there is none.
function goTo(target, key, number) {
  const layer = LAYERS.find((one) => one.key === key);
  if (!layer) return false;
  const filter = number === null ? layer.first : layer.numbers.indexOf(number === "" ? NaN : Number(number));
  if (filter < 0) return false;
  target.layer = layer.place;
  target.filter = filter;
  return true;
}
