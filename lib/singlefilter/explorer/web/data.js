// The data of the page: what is small as JSON, the levels of each layer packed, unpacked when they are asked for.

const DATA = JSON.parse(document.getElementById("header").textContent);
const K = DATA.names.length;
const LAYERS = DATA.layers.map((layer, place) => ({
  ...layer,
  place,
  numbers: layer.shown ?? Array.from({ length: layer.filters }, (_, filter) => filter),
}));

const unpacked = new Map(); // place of a layer -> its levels, Uint8Array [filters * K * K]
const counted = new Map(); // "layer:k" -> what is counted of each filter
const COUNTED_AT_MOST = 400;

// A label as it is read; one without anything to read goes by its number.
function nameOf(label) {
  return DATA.names[label].trim() ? DATA.names[label] : `label ${label}`;
}

function bytesOf(base64) {
  const text = atob(base64.trim());
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

async function unpack(place) {
  if (unpacked.has(place)) return unpacked.get(place);
  const element = document.getElementById(`levels-${place}`);
  const stream = new Blob([bytesOf(element.textContent)]).stream().pipeThrough(new DecompressionStream("deflate"));
  const levels = new Uint8Array(await new Response(stream).arrayBuffer());
  if (!unpacked.has(place)) unpacked.set(place, levels);
  element.textContent = ""; // it is not needed twice
  return unpacked.get(place);
}

function levelsOf(place, filter) {
  return unpacked.get(place).subarray(filter * K * K, (filter + 1) * K * K);
}

function isCounted(place, k) {
  return counted.has(`${place}:${k}`);
}

// What is counted of every filter of a layer at a threshold, with the cluster of each label (Int16Array).
function countsOf(place, k) {
  const key = `${place}:${k}`;
  if (!counted.has(key)) {
    if (counted.size > COUNTED_AT_MOST) counted.clear();
    const filters = LAYERS[place].numbers.map((number, filter) => {
      const { ones, ...rest } = analysed(levelsOf(place, filter), K, k);
      return { filter, number, ...rest };
    });
    counted.set(key, { filters, layer: ofLayer(filters, K) });
  }
  return counted.get(key);
}

// The filter nearest to the middle of its layer: least distance from the medians of clusters, labels and noise, each
// in units of the layer's spread; the best has the most ones inside squares off the diagonal, of equal ones the least
// noise.
function chosen(kind, filters) {
  if (kind === "none") return filters.find((one) => one.clusters === 0);
  if (kind === "noise") return filters.reduce((most, one) => (one.noise > most.noise ? one : most));
  if (kind === "best") {
    return filters.reduce((best, one) =>
      one.internal > best.internal || (one.internal === best.internal && one.noise < best.noise) ? one : best
    );
  }
  const distance = filters.map(() => 0);
  for (const name of ["clusters", "covered", "noise"]) {
    const values = filters.map((one) => one[name]).sort((a, b) => a - b);
    const middle = (values[(values.length - 1) >> 1] + values[values.length >> 1]) / 2;
    const spread = values.at(-1) - values[0] || 1;
    filters.forEach((one, at) => (distance[at] += Math.abs(one[name] - middle) / spread));
  }
  return filters[distance.indexOf(Math.min(...distance))];
}
