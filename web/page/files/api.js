// Requests to the server, with the key of this session. An error is a sentence that says what to do.

import { askForKey, currentKey } from "./key.js";

// The page's files lie one folder below the server's root, which need not be the host's root.
export const ROOT = new URL("..", import.meta.url);

export class ApiError extends Error {
  constructor(status, problem, retryAfterS) {
    super(problem.detail || problem.title || `The server answered ${status}.`);
    this.status = status;
    this.code = problem.code ?? "";
    this.retryAfterS = retryAfterS;
  }

  // Whether the same request may succeed later.
  get isPassing() {
    return this.status === 0 || this.status === 429 || this.status === 502 || this.status === 503;
  }
}

export function url(path) {
  return new URL(path.replace(/^\//, ""), ROOT);
}

// A response that is no error. Asks for a key, as often as the server does.
export async function request(path, { headers = {}, ...options } = {}) {
  for (;;) {
    const key = currentKey();
    const response = await send(path, {
      ...options,
      headers: { ...authorization(key), ...headers },
    });
    if (response.status !== 401) {
      if (response.ok) return response;
      throw await errorOf(response);
    }
    await askForKey(key, (await errorOf(response)).message);
  }
}

export async function getJson(path, options) {
  return (await request(path, options)).json();
}

export async function postJson(path, value, headers = {}) {
  const response = await request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(value),
  });
  return response.json();
}

export function authorization(key) {
  return key ? { Authorization: `Bearer ${key}` } : {};
}

export function unreachable() {
  const detail = "The server cannot be reached. Is it running? Start it with `terzetto serve`.";
  return new ApiError(0, { detail, code: "unreachable" });
}

// The error of a response, whether or not it is a problem document.
export async function errorOf(response) {
  const text = await response.text().catch(() => "");
  return problemError(response.status, text, response.headers.get("Retry-After"));
}

export function problemError(status, text, retryAfter) {
  let problem = {};
  try {
    problem = JSON.parse(text);
  } catch {
    // A proxy in between may answer with a page of its own.
  }
  return new ApiError(status, problem, Number(retryAfter) || null);
}

async function send(path, options) {
  try {
    return await fetch(url(path), { credentials: "omit", cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw unreachable();
  }
}
