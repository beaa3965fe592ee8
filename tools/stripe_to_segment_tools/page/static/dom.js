// Elements from data. Text only ever becomes text: what came from outside cannot become markup, hide itself, or turn the
// line around.

export const $ = (id) => document.getElementById(id);

// Control characters, bidirectional controls and what else cannot be seen. The joiners stay: names and emoji need them.
const HIDDEN = /(?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
const escaped = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;

// As JSON would write it, so that JSON stays the same value.
export const visible = (text) => text.replace(HIDDEN, (hidden) => hidden.split("").map(escaped).join(""));

// Attributes that are shown or read out.
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

// A name that may be broken at its dots and underscores, and nowhere else.
export const breakable = (name) => name.split(/(?<=[._])/).flatMap((part) => [part, h("wbr")]);

// Makes what is there look like what is wanted, and leaves alone what does already: there somebody may be reading,
// scrolling, selecting, or be with the keyboard.
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

// Replaces the choices of a select, keeping the one that is chosen, even where it is none of them.
export function fillSelect(select, values, first) {
  const chosen = select.value;
  const wanted = chosen && !values.includes(chosen) ? [...values, chosen] : values;
  const there = [...select.options].slice(1).map((option) => option.value);
  if (wanted.join("\n") === there.join("\n")) return;
  select.replaceChildren(h("option", { value: "" }, first), ...wanted.map((value) => h("option", { value }, value)));
  select.value = chosen;
}
