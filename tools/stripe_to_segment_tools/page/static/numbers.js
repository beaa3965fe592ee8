// The Numbers view: charts of the calls, each with a table whose figures link to their events.

import { $, h } from "./dom.js";
import { plural } from "./format.js";
import { plot } from "./plot.js";
import { numberLink, numbersLink, route } from "./route.js";
import { ask } from "./store.js";

let shown = "";
let plots = [];

export async function renderNumbers() {
  const found = await ask("numbers");
  const { view, key } = route();
  const told = JSON.stringify([found, key]);
  if (!found || view !== "numbers" || told === shown) return;
  shown = told;
  const focused = $("numbers").contains(document.activeElement) ? document.activeElement : null;
  draw(found.currencies, key);
  if (focused) [...$("numbers").querySelectorAll("a, select, summary")].find((each) => nameOf(each) === nameOf(focused))?.focus();
}

const nameOf = (element) => element.getAttribute("href") || element.id || element.parentElement.dataset.id;

function draw(currencies, wanted) {
  const unfolded = new Set([...$("numbers").querySelectorAll("details[open]")].map((details) => details.dataset.id));
  const chosen = currencies.find((each) => each.currency === wanted) ?? currencies[0];
  for (const made of plots) made.destroy();
  plots = [];
  $("numbers").replaceChildren(h("h2", {}, "Numbers"), chosen ? chooser(currencies, chosen) : empty(), ...(chosen?.charts ?? []).map((chart) => view(chart, chosen.currency, unfolded)));
  for (const chart of chosen?.charts ?? []) if (chart.rows.length) place(chart, chosen.currency);
}

const empty = () =>
  h(
    "div",
    { class: "empty" },
    h("p", {}, "No numbers yet: no call with revenue or MRR was delivered. They are summed as soon as one is."),
    h("p", {}, h("button", { type: "button", class: "primary", "data-scenario": "subscription" }, "Play a scenario: a subscription’s life"), " or send the events of your own Stripe account."),
  );

function chooser(currencies, chosen) {
  const select = h("select", { id: "currency" }, currencies.map(({ currency }) => h("option", { value: currency, selected: currency === chosen.currency }, currency)));
  select.addEventListener("change", () => { location.hash = numbersLink(select.value); });
  return h("p", { class: "chooser" }, h("label", { for: "currency" }, "Currency"), " ", select, h("span", { class: "soft" }, "Days and months are in UTC. Click a bar or a point, or a number in a table, to see its events."));
}

function view(chart, currency, unfolded) {
  const drawn = chart.columns.filter((column) => column.drawn);
  const id = `chart-${chart.name}`;
  return h(
    "section",
    { class: "chart", id, "aria-labelledby": `${id}-title` },
    h("h3", { id: `${id}-title` }, chart.title),
    h("p", { class: "soft" }, chart.description),
    ...(chart.rows.length
      ? [
          h("ul", { class: "legend-line" }, drawn.map((column) => h("li", {}, h("span", { class: `swatch as-${column.drawn} of-${column.name}` }), column.title))),
          h("div", { class: "plot", role: "img", "aria-label": `Chart: ${chart.title}, ${currency}. The table below has its numbers.` }),
          h("p", { class: "readout soft", "aria-hidden": "true" }),
          h("details", { "data-id": id, open: unfolded.has(id) }, h("summary", {}, `Table: ${plural(chart.rows.length, "row")}`), table(chart, currency)),
        ]
      : [h("p", { class: "none soft" }, `Nothing in ${currency} yet.`)]),
  );
}

function table(chart, currency) {
  const first = chart.rows[0].on.length === 7 ? "Month" : "Day";
  const cell = (row, { text, events }, column) => {
    const link = numberLink([chart.name, currency, row.on, column.name]);
    return h("td", {}, events && text ? h("a", { href: link, "aria-label": `${column.title}, ${row.label}: ${text}, ${plural(events, "event")}` }, text) : text);
  };
  return h(
    "div",
    { class: "figures", tabindex: "0", role: "group", "aria-label": `Table: ${chart.title}` },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, first), chart.columns.map((column) => h("th", { scope: "col" }, column.title)))),
      // The newest first, as in the list of events.
      h("tbody", {}, chart.rows.toReversed().map((row) => h("tr", {}, h("th", { scope: "row" }, row.label), row.cells.map((each, at) => cell(row, each, chart.columns[at]))))),
    ),
  );
}

function place(chart, currency) {
  const section = $(`chart-${chart.name}`);
  const readout = section.querySelector(".readout");
  const style = getComputedStyle(section);
  plots.push(
    plot(section.querySelector(".plot"), chart, {
      // A legend's swatch has the colour of its column, as the style sheet says for light and dark.
      colour: (name) => getComputedStyle(section.querySelector(`.of-${name}`)).color,
      soft: getComputedStyle(readout).color,
      line: style.borderTopColor,
      open: (row, name) => { location.assign(numberLink([chart.name, currency, row.on, name].filter(Boolean))); },
      look: (row) => { readout.textContent = row ? said(chart, row) : "\u00a0"; },
    }),
  );
}

function said(chart, row) {
  const values = chart.columns.map((column, at) => [column.title, row.cells[at]]).filter(([, cell]) => cell.value);
  return `${row.label}: ${values.map(([title, cell]) => `${title} ${cell.text}`).join(" · ")}`;
}

// Colours and widths are read when a chart is drawn.
export function redrawNumbers() {
  shown = "";
}

export function fitNumbers() {
  for (const made of plots) {
    const width = made.root.parentElement.clientWidth;
    if (width && width !== made.width) made.setSize({ width, height: made.height });
  }
}
