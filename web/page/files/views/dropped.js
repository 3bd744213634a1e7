// The files of a drop, those in its folders included.
//
// Rule: hidden, generated and ignored files of a folder are left out as `terzetto ingest` leaves them out,
// and what is dropped by itself is taken.

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
    if (entry?.isDirectory) await collect(entry, await inside(entry), [], drop);
    else if (file) drop.files.push({ file, path: file.name });
  }
  return drop;
}

// `ignores` are the .gitignore files that count here, the nearest one first.
async function collect(folder, entries, ignores, drop) {
  const own = entries.find((one) => one.isFile && one.name === ".gitignore");
  const here = own ? [{ folder, rules: patterns(await startOf(own)) }, ...ignores] : ignores;
  for (const entry of entries) {
    if (entry.name.startsWith(".")) continue;
    if (isIgnored(entry, here)) leave("ignored by .gitignore", drop);
    else if (entry.isFile)
      drop.files.push({ file: await opened(entry), path: entry.fullPath.slice(1) });
    else {
      const inner = await inside(entry);
      const kind = await generated(entry, inner);
      if (kind) leave(kind, drop);
      else await collect(entry, inner, here, drop);
    }
  }
}

function isIgnored(entry, ignores) {
  for (const { folder, rules } of ignores) {
    const path = entry.fullPath.slice(folder.fullPath.length + 1);
    const ignored = verdict(rules, path, entry.isDirectory);
    if (ignored !== null) return ignored;
  }
  return false;
}

async function generated(folder, entries) {
  if (GENERATED.test(folder.name)) return `${folder.name} folder`;
  if (entries.some(({ name }) => name === "pyvenv.cfg" || name === "conda-meta"))
    return "virtual environment";
  const tag = entries.find((one) => one.isFile && one.name === "CACHEDIR.TAG");
  return tag && (await startOf(tag)).startsWith(CACHE_SIGNATURE) ? "cache folder" : null;
}

const leave = (kind, { leftOut }) => leftOut.set(kind, (leftOut.get(kind) ?? 0) + 1);
const opened = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));
const startOf = async (entry) => (await opened(entry)).slice(0, MAX_GITIGNORE_BYTES).text();

async function inside(folder) {
  const reader = folder.createReader();
  const entries = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return entries; // It gives at most a hundred at a time.
    entries.push(...some);
  }
}
