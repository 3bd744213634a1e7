// Addresses of the page: fragments such as #/tasks/ID/timeline?seq=12. They never meet the API's.

export function parse(fragment) {
  const [path, query = ""] = fragment.replace(/^#\/?/, "").split("?");
  const parts = path.split("/").filter(Boolean).map(decoded);
  return { parts, query: new URLSearchParams(query) };
}

export function address(parts, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== "");
  const path = `#/${parts.map(encodeURIComponent).join("/")}`;
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

// The place of a passage in its document.
export function placeAddress({ document_id: id, start, end }) {
  return address(["documents", id], end > start ? { start, end } : {});
}

// A whole number of the query, or null.
export function number(query, name) {
  const value = query.get(name) ?? "";
  return /^\d{1,15}$/.test(value) ? Number(value) : null;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
