// The files of a drop or of a chosen folder, those in its folders included.
//
// Rule: hidden, generated and ignored files of a folder are left out as `terzetto ingest` leaves them out,
// and what is dropped or chosen by itself is taken. An entry has `inside` if it is a folder, else `open`.

import { patterns, verdict } from "./gitignore.js";

// A test keeps them equal to those of web/command/ignored.py.
const GENERATED =
  /^(node_modules|bower_components|site-packages|__pycache__|__pypackages__|venv|virtualenv|build|_build|dist|target|htmlcov|_sources)$/;
const CACHE_SIGNATURE = "Signature: 8a477f597d28d172789f06886806bc55";
const MAX_GITIGNORE_BYTES = 1024 * 1024;

// The files, each with its path, and how many of each kind were left out.
export async function droppedFiles(transfer) {
  // All at once: the items are gone after the first wait.
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const given = items.map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  const drop = { files: [], leftOut: new Map() };
  for (const { entry, file } of given) {
    if (entry?.isDirectory) await collect(dropped(entry), drop);
    else if (file) drop.files.push({ file, path: file.name });
  }
  return drop;
}

// The same of a folder that was chosen, whose files the browser lists all.
export async function chosenFiles(list) {
  const drop = { files: [], leftOut: new Map() };
  for (const entry of chosen([...list])) await collect(entry, drop);
  return drop;
}

// `ignores` are the .gitignore files that count here, the nearest one first.
async function collect(folder, drop, entries = null, ignores = []) {
  entries ??= await folder.inside();
  const own = entries.find((one) => one.open && one.name === ".gitignore");
  const here = own ? [{ folder, rules: patterns(await startOf(own)) }, ...ignores] : ignores;
  for (const entry of entries) {
    if (entry.name.startsWith(".")) continue;
    if (isIgnored(entry, here)) leave("ignored by .gitignore", drop);
    else if (entry.open) drop.files.push({ file: await entry.open(), path: entry.path });
    else {
      const inner = await entry.inside();
      const kind = await generated(entry, inner);
      if (kind) leave(kind, drop);
      else await collect(entry, drop, inner, here);
    }
  }
}

function isIgnored(entry, ignores) {
  for (const { folder, rules } of ignores) {
    const path = entry.path.slice(folder.path.length + 1);
    const ignored = verdict(rules, path, !entry.open);
    if (ignored !== null) return ignored;
  }
  return false;
}

async function generated(folder, entries) {
  if (GENERATED.test(folder.name)) return `${folder.name} folder`;
  if (entries.some(({ name }) => name === "pyvenv.cfg" || name === "conda-meta"))
    return "virtual environment";
  const tag = entries.find((one) => one.open && one.name === "CACHEDIR.TAG");
  return tag && (await startOf(tag)).startsWith(CACHE_SIGNATURE) ? "cache folder" : null;
}

const leave = (kind, { leftOut }) => leftOut.set(kind, (leftOut.get(kind) ?? 0) + 1);
const startOf = async (entry) => (await entry.open()).slice(0, MAX_GITIGNORE_BYTES).text();

// --- entries -----------------------------------------------------------------------------------------

function dropped(entry) {
  const named = { name: entry.name, path: entry.fullPath.slice(1) };
  return entry.isFile
    ? { ...named, open: () => new Promise((resolve, reject) => entry.file(resolve, reject)) }
    : { ...named, inside: async () => (await listed(entry)).map(dropped) };
}

async function listed(folder) {
  const reader = folder.createReader();
  const entries = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return entries; // It gives at most a hundred at a time.
    entries.push(...some);
  }
}

// The entries below `path`, of files that say where in the chosen folder they are.
function chosen(files, path = "") {
  const below = Map.groupBy(files, (file) => file.webkitRelativePath.slice(path.length).split("/")[0]);
  return [...below].map(([name, inner]) => {
    const own = path + name;
    return inner[0].webkitRelativePath === own
      ? { name, path: own, open: async () => inner[0] }
      : { name, path: own, inside: async () => chosen(inner, `${own}/`) };
  });
}
