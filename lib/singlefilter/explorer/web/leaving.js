// What leaves the page, a picture, a table, a link, and how it begins.

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
  if (DATA.pictures) {
    // By an address of its own: in a style sheet a thousand pictures would be too long a text.
    const sprite = URL.createObjectURL(new Blob([bytesOf(DATA.pictures.png)], { type: "image/png" }));
    document.documentElement.style.setProperty("--sprite", `url(${sprite})`);
  }
  readColours();
  follow(location.hash);
}

begin();
