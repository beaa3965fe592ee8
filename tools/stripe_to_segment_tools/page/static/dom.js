// Elements from data. Text always stays text: a value from outside cannot become markup, hide itself, or reverse the
// line's direction.

export const $ = (id) => document.getElementById(id);

// Control characters, bidirectional controls and other invisible characters. Joiners stay: names and emoji need them.
const HIDDEN = /(?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
const escaped = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;

// As JSON would write it, so that JSON stays the same value.
export const visible = (text) => text.replace(HIDDEN, (hidden) => hidden.split("").map(escaped).join(""));

// Attributes that are shown or read aloud.
const READ = new Set(["title", "aria-label"]);

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : READ.has(name) ? visible(String(value)) : value);
  }
  const shown = children.flat().filter((child) => child !== null && child !== undefined && child !== false);
  element.append(...shown.map((child) => (typeof child === "string" ? visible(child) : child)));
  return element;
}

// A name that a line may break only at its dots and underscores.
export const breakable = (name) => name.split(/(?<=[._])/).flatMap((part) => [part, h("wbr")]);

// Change an element into the wanted one, and leave its unchanged parts alone: somebody may be reading there,
// scrolling, selecting, or have the keyboard's focus.
export function patch(there, wanted) {
  if (there.isEqualNode(wanted)) return;
  const nodes = [...there.childNodes, ...wanted.childNodes];
  const same = there.cloneNode(false).isEqualNode(wanted.cloneNode(false));
  if (!same || nodes.some((node) => node.nodeType !== Node.ELEMENT_NODE)) {
    there.replaceWith(wanted);
    return;
  }
  const [before, after] = [[...there.children], [...wanted.children]];
  after.forEach((child, place) => (before[place] ? patch(before[place], child) : there.append(child)));
  before.slice(after.length).forEach((child) => child.remove());
}

// Replace the choices of a select, and keep the chosen one, even if it is not among them.
export function fillSelect(select, values, first) {
  const chosen = select.value;
  const wanted = chosen && !values.includes(chosen) ? [...values, chosen] : values;
  const there = [...select.options].slice(1).map((option) => option.value);
  if (wanted.join("\n") === there.join("\n")) return;
  select.replaceChildren(h("option", { value: "" }, first), ...wanted.map((value) => h("option", { value }, value)));
  select.value = chosen;
}
