// What the server has told, kept up to date by its stream.

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
  // A page that nobody looks at needs no line, of which a browser has few; whoever comes back is told everything anew.
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
    tell("connection", closed ? "another run: open the address that `make run` printed" : "the local stack does not answer");
    // The browser itself connects again when the line is cut, but not when something else answered: a run whose
    // address holds another token.
    if (closed && target === source) {
      source = null;
      setTimeout(listen, AGAIN_MILLISECONDS);
    }
  });
  source.addEventListener("hello", ({ data }) => {
    const hello = JSON.parse(data);
    // A new hello is a new beginning: the stack may have been started anew.
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

// Null where there is nothing, or nobody answers.
export async function ask(path) {
  try {
    const answer = await fetch(path);
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

// Gives the answer; in `error`, why it was not done.
export async function order(path, body = {}) {
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  try {
    const answer = await fetch(path, options);
    return await answer.json();
  } catch {
    return { error: "The local stack does not answer: is `make run` still running?" };
  }
}
