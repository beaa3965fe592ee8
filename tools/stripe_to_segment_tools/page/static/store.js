// The data from the server, kept up to date by its stream.

export const entries = new Map();
export const state = {};
export const people = [];

// As many as the server keeps.
const KEPT = 5000;
const AGAIN_MILLISECONDS = 2000;
const listeners = { entries: [], state: [], connection: [] };
export const on = (what, listener) => listeners[what].push(listener);
const tell = (what, ...news) => listeners[what].forEach((listener) => listener(...news));

function take(changed) {
  for (const entry of changed) entries.set(entry.key, entry);
  for (const key of entries.keys()) {
    if (entries.size <= KEPT) break;
    entries.delete(key);
  }
}

let source = null;

export function connect() {
  // A hidden page closes its connection, because a browser has few of them; when it is shown again it loads everything.
  addEventListener("visibilitychange", () => (document.hidden ? hangUp() : listen()));
  addEventListener("pagehide", hangUp);
  addEventListener("pageshow", listen);
  listen();
}

function hangUp() {
  source?.close();
  source = null;
}

function listen() {
  if (source || document.hidden) return;
  source = new EventSource("stream");
  source.addEventListener("open", () => tell("connection", "live"));
  source.addEventListener("error", ({ target }) => {
    const closed = target.readyState === EventSource.CLOSED;
    tell("connection", closed ? "another run is active: open the address that `make run` printed" : "the local stack does not answer");
    // The browser connects again by itself after a lost connection, but not after an error status: that of a run whose
    // address contains another token.
    if (closed && target === source) {
      source = null;
      setTimeout(listen, AGAIN_MILLISECONDS);
    }
  });
  source.addEventListener("hello", ({ data }) => {
    const hello = JSON.parse(data);
    // Each hello replaces all data, because the stack may have been restarted.
    entries.clear();
    take(hello.entries);
    Object.assign(state, hello.state);
    tell("entries", hello.entries, true);
    tell("state");
  });
  source.addEventListener("entries", ({ data }) => {
    const changed = JSON.parse(data);
    take(changed);
    tell("entries", changed, false);
  });
  source.addEventListener("state", ({ data }) => {
    Object.assign(state, JSON.parse(data));
    tell("state");
  });
}

export async function loadPeople() {
  const found = (await ask("users")) ?? [];
  people.splice(0, people.length, ...found);
}

// The answer, or null if there is none.
export async function ask(path) {
  try {
    const answer = await fetch(path);
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

// The answer; its `error` says why the request failed.
export async function order(path, body = {}) {
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  try {
    const answer = await fetch(path, options);
    return await answer.json();
  } catch {
    return { error: "The local stack does not answer: is `make run` still running?" };
  }
}
