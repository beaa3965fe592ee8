// What the server has told, kept up to date by its stream. The browser itself connects again when the line is cut.

export const entries = new Map();
export const state = {};

const listeners = { entries: [], state: [], connection: [] };
export const on = (what, listener) => listeners[what].push(listener);
const tell = (what, ...news) => listeners[what].forEach((listener) => listener(...news));

function take(changed) {
  for (const entry of changed) entries.set(entry.key, entry);
}

export function connect() {
  const source = new EventSource("/stream");
  source.addEventListener("open", () => tell("connection", true));
  source.addEventListener("error", () => tell("connection", false));
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
  addEventListener("pagehide", () => source.close());
}

export async function ask(path) {
  const answer = await fetch(path);
  return answer.ok ? answer.json() : null;
}

export async function order(path, body = {}) {
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(path, options);
  return answer.json();
}
