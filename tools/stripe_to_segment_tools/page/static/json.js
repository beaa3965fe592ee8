// JSON as coloured text, with some values marked.

import { h } from "./dom.js";

const INDENT = "  ";

// marked(path) says whether the value at a path (an array of keys) is to be marked.
export function jsonView(value, marked = () => false) {
  const view = h("pre", { class: "json", tabindex: "0" });
  view.append(...parts(value, [], "", marked));
  return view;
}

function* parts(value, path, indent, marked) {
  if (value === null || typeof value !== "object") {
    yield leaf(value);
    return;
  }
  const list = Array.isArray(value);
  const entries = Object.entries(value);
  if (entries.length === 0) {
    yield list ? "[]" : "{}";
    return;
  }
  yield list ? "[\n" : "{\n";
  for (const [place, [key, inner]] of entries.entries()) {
    const here = [...path, key];
    const line = list ? [] : [h("span", { class: "key" }, JSON.stringify(key)), ": "];
    line.push(...parts(inner, here, indent + INDENT, marked));
    yield indent + INDENT;
    yield* marked(here) ? [h("mark", {}, line)] : line;
    yield place + 1 < entries.length ? ",\n" : "\n";
  }
  yield indent + (list ? "]" : "}");
}

function leaf(value) {
  const kind = typeof value === "string" ? "string" : "literal";
  return h("span", { class: kind }, JSON.stringify(value));
}
