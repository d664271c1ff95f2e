// A matrix on a canvas, with what lies over it (squares, names, a cross) as SVG.

const SVG = "http://www.w3.org/2000/svg";
const NAMED_FROM = 9; // pixels of a cell from which names stand at the axes
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

// An element with attributes and children; text is always text, never markup.
function make(tag, attributes = {}, ...children) {
  const element = tag.startsWith("svg:") ? document.createElementNS(SVG, tag.slice(4)) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

// How the n-th cluster in order of display is called: A to Z, then A2 and so on.
function letter(place) {
  const round = Math.floor(place / LETTERS.length);
  return LETTERS[place % LETTERS.length] + (round ? round + 1 : "");
}

let colours = null;

// The colours of the theme that is on, from the style sheet.
function readColours() {
  const style = getComputedStyle(document.documentElement);
  const one = (name) => {
    const hex = style.getPropertyValue(name).trim();
    return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  };
  const many = (name) => style.getPropertyValue(name).trim().split(/\s*,\s*/);
  colours = {
    paper: one("--cell"),
    tone: one("--cell-tone"),
    noise: one("--noise"),
    high: one("--high"),
    low: one("--low"),
    clusters: many("--clusters"),
  };
}

function clusterColour(place) {
  return colours.clusters[place % colours.clusters.length];
}

function packedColour([red, green, blue]) {
  return (255 << 24) | (blue << 16) | (green << 8) | red; // as ImageData lies in memory
}

function mixed(from, to, share) {
  return from.map((value, at) => Math.round(value + (to[at] - value) * share));
}

// The colour of each level below the threshold, or of every level where the field is shown.
function levelColours(show, k) {
  const table = new Uint32Array(256);
  for (let level = 0; level < 256; level++) {
    const negative = level >= BELOW_ZERO;
    const share = negative ? Math.min(1, (level - BELOW_ZERO + 0.5) / 10) : (level + 1) / 100;
    if (show === "field") table[level] = packedColour(mixed(colours.paper, negative ? colours.low : colours.high, share));
    else table[level] = packedColour(mixed(colours.paper, colours.tone, negative ? 0 : Math.min(1, level / k)));
  }
  return table;
}

// One matrix in a host element.  draw(what) shows it; the cell under the pointer or cursor goes to the line below it.
function matrixIn(host) {
  const canvas = make("canvas", { tabindex: 0, role: "img", class: "cells" });
  const overlay = make("svg:svg", { class: "overlay", "aria-hidden": "true" });
  const frame = make("div", { class: "frame" }, canvas, overlay);
  const readout = make("p", { class: "readout", "aria-live": "polite" });
  const axes = make("p", { class: "axes" }, "Row: label of the images ↓   Column: output unit →");
  host.append(axes, frame, readout);
  let shown = null;
  let cursor = null; // [row, column] as displayed
  let side = 0;

  function draw(what) {
    shown = what;
    const ranked = members(what.found.clusterOf);
    const named = makeRoom();
    paint(ranked);
    overlay.replaceChildren(...squares(ranked), ...(named ? names() : []), ...marks());
    canvas.setAttribute("aria-label", what.title);
    canvas.dataset.drawn = what.mark;
    say();
  }

  // Elements as squares of whole pixels, or, of more labels than there are pixels, several to a pixel.
  function paint(ranked) {
    const { levels, found, order, show, k } = shown;
    const table = levelColours(show, k);
    const rank = [];
    ranked.forEach((cluster, place) => (rank[cluster.number] = place));
    const inks = ranked.map((_, place) => {
      const hex = clusterColour(place);
      return packedColour([1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
    });
    const noise = packedColour(colours.noise);
    const size = Math.min(K, canvas.width);
    const small = make("canvas", { width: size, height: size });
    const context = small.getContext("2d");
    const image = context.createImageData(size, size);
    const pixels = new Uint32Array(image.data.buffer);
    const pixelOf = Uint16Array.from({ length: K }, (_, at) => Math.floor((at * size) / K));
    // Ones come last, so that none is lost among what shares its pixel.
    for (const ones of show === "field" ? [0] : [0, 1]) {
      for (let row = 0; row < K; row++) {
        const truth = order[row];
        const cluster = found.clusterOf[truth];
        const line = pixelOf[row] * size;
        for (let column = 0; column < K; column++) {
          const output = order[column];
          const element = output * K + truth;
          if (show !== "field" && found.ones[element] !== ones) continue;
          const inside = cluster >= 0 && cluster === found.clusterOf[output];
          pixels[line + pixelOf[column]] = !ones ? table[levels[element]] : inside ? inks[rank[cluster]] : noise;
        }
      }
    }
    context.putImageData(image, 0, 0);
    const target = canvas.getContext("2d");
    target.imageSmoothingEnabled = false;
    target.drawImage(small, 0, 0, canvas.width, canvas.height);
  }

  // The pixels that the longest name at an axis takes, at most those of fourteen wide letters.
  function widest() {
    const context = canvas.getContext("2d");
    context.font = `10px ${getComputedStyle(overlay).fontFamily}`; // as the style sheet has them
    const widths = Array.from({ length: K }, (_, label) => context.measureText(shortened(nameOf(label), 14)).width);
    return Math.min(92, Math.ceil(Math.max(...widths)));
  }

  // Sizes, from the room there is; whether it is enough for names at the axes.
  function makeRoom() {
    const ratio = window.devicePixelRatio || 1;
    const room = Math.max(120, Math.min(host.clientWidth, 640));
    const named = (room - 96) / K >= NAMED_FROM;
    const margin = named ? { left: widest() + 10, top: Math.ceil(0.87 * widest()) + 12 } : { left: 24, top: 4 };
    const pixels = (room - margin.left - 4) * ratio;
    const cell = Math.floor(pixels / K);
    canvas.width = canvas.height = cell >= 1 ? cell * K : Math.floor(pixels);
    side = canvas.width / ratio;
    canvas.style.width = canvas.style.height = `${side}px`;
    frame.style.padding = `${margin.top}px 0 0 ${margin.left}px`;
    overlay.setAttribute("width", side);
    overlay.setAttribute("height", side);
    overlay.style.left = `${margin.left}px`;
    overlay.style.top = `${margin.top}px`;
    return named;
  }

  function squares(ranked) {
    if (!shown.own) return [];
    const parts = [];
    const unit = side / K;
    let from = 0;
    ranked.forEach((cluster, at) => {
      const size = cluster.labels.length * unit;
      const colour = clusterColour(at);
      parts.push(make("svg:rect", { x: from, y: from, width: size, height: size, class: "square", stroke: colour }));
      if (size >= 11 && unit < NAMED_FROM) {
        parts.push(make("svg:text", { x: -7, y: from + size / 2 + 4, class: "letter", fill: colour }, letter(at)));
      }
      from += size;
    });
    return parts;
  }

  function names() {
    const unit = side / K;
    return shown.order.flatMap((label, at) => {
      const middle = (at + 0.5) * unit;
      const name = shortened(nameOf(label), 14);
      const turned = `translate(${middle + 3} -5) rotate(-60)`;
      return [
        make("svg:text", { x: -6, y: middle + 3.5, class: "name end" }, name),
        make("svg:text", { transform: turned, class: "name" }, name),
      ];
    });
  }

  function marks() {
    const unit = side / K;
    const line = (kind, at) => [
      make("svg:rect", { x: 0, y: at * unit, width: side, height: unit, class: kind }),
      make("svg:rect", { x: at * unit, y: 0, width: unit, height: side, class: kind }),
    ];
    const parts = shown.label === null ? [] : line("chosen", shown.order.indexOf(shown.label));
    if (cursor) {
      const [row, column] = cursor;
      parts.push(make("svg:rect", { x: 0, y: row * unit, width: side, height: unit, class: "cross" }));
      parts.push(make("svg:rect", { x: column * unit, y: 0, width: unit, height: side, class: "cross" }));
    }
    return parts;
  }

  function say() {
    readout.replaceChildren();
    if (!cursor) {
      readout.append(make("span", { class: "faint" }, "Point at an element, or move there with the arrow keys."));
      return;
    }
    const [truth, output] = cursor.map((at) => shown.order[at]);
    const { ones, clusterOf: clusters } = shown.found;
    const place = members(clusters).findIndex((cluster) => cluster.number === clusters[truth]);
    const one = ones[output * K + truth];
    const inside = one && clusters[truth] >= 0 && clusters[truth] === clusters[output];
    const kind = !one ? "below the threshold" : inside ? `a one, in cluster ${letter(place)}` : "a one outside: noise";
    readout.append(
      make("b", {}, nameOf(truth)), " → ", make("b", {}, nameOf(output)),
      `: ${asValue(shown.levels[output * K + truth])} of the largest, ${kind}`
    );
  }

  function moveTo(next) {
    cursor = next;
    if (!shown) return;
    for (const old of overlay.querySelectorAll(".cross, .chosen")) old.remove();
    overlay.append(...marks());
    say();
  }

  const cellAt = (event) => {
    const box = canvas.getBoundingClientRect();
    const at = (value, start) => Math.max(0, Math.min(K - 1, Math.floor(((value - start) / side) * K)));
    return [at(event.clientY, box.top), at(event.clientX, box.left)];
  };
  canvas.addEventListener("pointermove", (event) => moveTo(cellAt(event)));
  canvas.addEventListener("pointerdown", (event) => moveTo(cellAt(event)));
  canvas.addEventListener("pointerleave", () => document.activeElement !== canvas && moveTo(null));
  canvas.addEventListener("blur", () => moveTo(null));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const [row, column] = cursor ?? [0, 0];
    const kept = (value) => Math.max(0, Math.min(K - 1, value));
    moveTo(cursor ? [kept(row + step[0]), kept(column + step[1])] : [0, 0]);
  });
  return { draw, canvas, again: () => shown && draw(shown) };
}

function shortened(text, most) {
  const letters = [...text.replace(/\s+/g, " ")]; // by character, not by half of an emoji
  return letters.length > most ? letters.slice(0, most - 1).join("") + "…" : letters.join("");
}

// What a byte says of an element: between which two values it lies.
function asValue(level) {
  if (level === 0) return "0 to 0.01";
  if (level < BELOW_ZERO) return `${(level / 100).toFixed(2)} to ${((level + 1) / 100).toFixed(2)}`;
  const tenths = level - BELOW_ZERO;
  return tenths === 19 ? "below −1.9" : `−${((tenths + 1) / 10).toFixed(1)} to −${(tenths / 10).toFixed(1)}`;
}
