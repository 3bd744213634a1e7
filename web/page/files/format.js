// Times, numbers and texts as people read them.

const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const DAY = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });

export function duration(seconds) {
  if (seconds > 0 && seconds < 0.001) return "under 1 ms";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${NUMBER.format(seconds)} s`;
  const [minutes, rest] = [Math.floor(seconds / 60), Math.floor(seconds % 60)];
  if (minutes < 60) return rest ? `${minutes} min ${rest} s` : `${minutes} min`;
  const [hours, left] = [Math.floor(minutes / 60), minutes % 60];
  if (hours < 48) return left ? `${hours} h ${left} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} days`;
}

export function secondsBetween(start, end) {
  return (Date.parse(end) - Date.parse(start)) / 1000;
}

export function ago(time, now = Date.now()) {
  const seconds = (now - Date.parse(time)) / 1000;
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  return day(time);
}

export function day(time) {
  return DAY.format(new Date(time));
}

export function count(number, one, several = `${one}s`) {
  return `${NUMBER.format(number)} ${number === 1 ? one : several}`;
}

export function size(bytes) {
  if (bytes < 1000) return count(bytes, "byte");
  return bytes < 1e6 ? `${NUMBER.format(bytes / 1e3)} kB` : `${NUMBER.format(bytes / 1e6)} MB`;
}

const KINDS = {
  "application/epub+zip": "EPUB",
  "application/json": "JSON",
  "application/pdf": "PDF",
  "application/toml": "TOML",
  "application/vnd.oasis.opendocument.text": "ODT",
  "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "Word",
  "application/x-ipynb+json": "Notebook",
  "application/x-ndjson": "JSON lines",
  "application/yaml": "YAML",
  "message/rfc822": "E-mail",
  "text/csv": "CSV",
  "text/html": "HTML",
  "text/markdown": "Markdown",
  "text/plain": "Text",
  "text/tab-separated-values": "TSV",
  "text/x-org": "Org",
  "text/x-rst": "reStructuredText",
  "text/x-source-code": "Source code",
};

// A media type in words. A test keeps the list complete.
export function mediaKind(type) {
  return KINDS[type] ?? type;
}

// Tokens of language models, and their cost.
export function usage({ input_tokens: input, output_tokens: output, cost, estimated }) {
  const tokens = count(input + output, "token");
  return `${estimated ? "about " : ""}${tokens}${cost ? `, cost ${Number(cost.toPrecision(3))}` : ""}`;
}

// One line of at most so many characters.
export function line(text, most = 160) {
  const whole = visible(text.slice(0, 4 * most))
    .trim()
    .replace(/\s+/g, " ");
  return whole.length <= most && text.length <= 4 * most
    ? whole
    : `${whole.slice(0, most).replace(/\s\S*$/, "")} …`;
}

// A text whose characters stand in the order in which they are read: overrides of the direction, which
// make a text look like another one, are shown as what they are.
export function visible(text) {
  return text.replace(
    /[\u202d\u202e]/g,
    (one) => `[U+${one.charCodeAt(0).toString(16).toUpperCase()}]`,
  );
}
