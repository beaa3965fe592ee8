// Elements from data. Text only ever becomes text: what came from outside cannot become markup.

export const $ = (id) => document.getElementById(id);

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// A name that may be broken at its dots and underscores, and nowhere else.
export const breakable = (name) => name.split(/(?<=[._])/).flatMap((part) => [part, h("wbr")]);

// Replaces the choices of a select, keeping the one that is chosen.
export function fillSelect(select, values, first) {
  const wanted = ["", ...values];
  const there = [...select.options].map((option) => option.value);
  if (wanted.join("\n") === there.join("\n")) return;
  const chosen = select.value;
  select.replaceChildren(h("option", { value: "" }, first), ...values.map((value) => h("option", { value }, value)));
  select.value = chosen;
}
