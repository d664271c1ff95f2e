// The method, as the library has it (method/clusters.py, method/statistics.py): clip, clusters, order, counts.
// A filter's levels lie as [out_label][true_label], a byte each: q of 0 to 99, or 100 and more below zero.
// An element is above the threshold k / 100 when k <= q < 100.

const BELOW_ZERO = 100;

// Ones above the threshold of k hundredths, Uint8Array [K * K], of the levels of one filter.  Section 4.
function clip(levels, k) {
  const ones = new Uint8Array(levels.length);
  const span = BELOW_ZERO - k;
  for (let at = 0; at < levels.length; at++) {
    const above = levels[at] - k;
    if (above >= 0 && above < span) ones[at] = 1;
  }
  return ones;
}

// Number of each label's cluster, -1 in none, by the greedy rule in ascending order of labels.  Section 5.
function find(ones, labels) {
  const clusters = new Int16Array(labels).fill(-1);
  let waiting = [];
  for (let label = 0; label < labels; label++) if (ones[label * labels + label]) waiting.push(label);
  for (let number = 0; waiting.length; number++) {
    const open = [];
    const left = [];
    for (const label of waiting) {
      if (open.every((member) => ones[label * labels + member] && ones[member * labels + label])) open.push(label);
      else left.push(label);
    }
    for (const label of open) clusters[label] = number;
    waiting = left;
  }
  return clusters;
}

// Members of each cluster in the order of display: the largest first, of equal ones the one found first.
function members(clusters) {
  const found = [];
  clusters.forEach((number, label) => {
    if (number >= 0) (found[number] ??= []).push(label);
  });
  return found.map((labels, number) => ({ number, labels })).sort(
    (one, other) => other.labels.length - one.labels.length || one.number - other.number
  );
}

// All labels as display permutes them: clusters first, then the labels in none.
function displayOrder(clusters) {
  const none = [];
  clusters.forEach((number, label) => {
    if (number < 0) none.push(label);
  });
  return [...members(clusters).flatMap((cluster) => cluster.labels), ...none];
}

// What statistics.count_filters counts of one filter, and the size of its largest cluster.  Section 6.
function count(ones, clusters) {
  let all = 0;
  for (let at = 0; at < ones.length; at++) all += ones[at];
  const sizes = [];
  for (const number of clusters) if (number >= 0) sizes[number] = (sizes[number] ?? 0) + 1;
  const covered = sizes.reduce((sum, size) => sum + size, 0);
  const inside = sizes.reduce((sum, size) => sum + size * size, 0);
  const largest = sizes.reduce((most, size) => Math.max(most, size), 0);
  return { clusters: sizes.length, covered, inside, internal: inside - covered, noise: all - inside, largest };
}

// A filter at a threshold: ones, the cluster of each label, and its counts.
function analysed(levels, labels, k) {
  const ones = clip(levels, k);
  const clusterOf = find(ones, labels);
  return { ones, clusterOf, ...count(ones, clusterOf) };
}

// N_c, C_s, n and SNR of a layer from the counts of its filters.  Section 6.
function ofLayer(counts, labels) {
  const sum = (name) => counts.reduce((total, filter) => total + filter[name], 0);
  const covered = sum("covered");
  const clusters = sum("clusters");
  const wrong = (sum("internal") + sum("noise")) / (labels * (labels - 1));
  return {
    N_c: clusters / counts.length,
    C_s: covered / clusters,
    n: sum("noise") / counts.length,
    snr: covered / labels / wrong,
    kept: covered / counts.length / labels,
  };
}
