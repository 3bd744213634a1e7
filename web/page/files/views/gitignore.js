// .gitignore files, as git reads them.

// The patterns of one file, in its order. Paths are relative to its folder.
export function patterns(text) {
  return text
    .replace(/^\ufeff/, "")
    .split("\n")
    .map(pattern)
    .filter(Boolean);
}

// Whether these patterns ignore a path (true), include it again (false) or say nothing (null).
export function verdict(rules, path, isFolder) {
  const rule = rules.findLast((one) => (isFolder || !one.isFolder) && one.matches.test(path));
  return rule ? rule.ignores : null;
}

function pattern(line) {
  let glob = line.replace(/\r$/, "").replace(/(?<!\\) +$/, "");
  if (!glob || glob.startsWith("#")) return null;
  const ignores = !glob.startsWith("!");
  if (!ignores) glob = glob.slice(1);
  const isFolder = glob.endsWith("/");
  if (isFolder) glob = glob.slice(0, -1);
  if (!glob) return null;
  const start = glob.includes("/") ? "" : "(?:.*/)?"; // Without a slash it counts at any depth.
  try {
    return { ignores, isFolder, matches: new RegExp(`^${start}${expression(glob)}$`, "su") };
  } catch {
    return null; // No pattern, such as a range that runs backwards; git passes over it, too.
  }
}

const PARTS =
  /^\*\*\/|\/\*\*\/|\/\*\*$|\\.|\[[!^]?\]?(?:\\.|[^\]\\])*\]|\*+|[^]/gsu;

const expression = (glob) =>
  glob.replace(/^\//, "").replace(PARTS, (part) => {
    if (part === "**/") return "(?:.*/)?";
    if (part === "/**/") return "/(?:.*/)?";
    if (part === "/**") return "/.+";
    if (part.startsWith("*")) return "[^/]*";
    if (part === "?") return "[^/]";
    if (part.length > 1 && part.startsWith("[")) return `(?!/)${characters(part.slice(1, -1))}`;
    return literal(part.length > 1 && part.startsWith("\\") ? part.slice(1) : part);
  });

function characters(inside) {
  const isNot = /^[!^]/.test(inside);
  const escaped = inside
    .slice(isNot ? 1 : 0)
    .replace(/\\(.)|[[\]^]/gu, (one, after) => `\\${after ?? one}`);
  return `[${isNot ? "^" : ""}${escaped}]`;
}

const literal = (text) => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
