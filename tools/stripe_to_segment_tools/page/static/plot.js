// A chart, drawn by uPlot: bars that are stacked up and down from zero, a line, or steps.

import { dayInUtc } from "./format.js";

const DAY_SECONDS = 86_400;
const HEIGHT = 220;
// So much room has the name of a month, such as "Sep 2026".
const MONTH_PIXELS = 70;
const MONTHS = /^\d{4}-\d{2}$/;
const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 });

// `colour(name)` gives the colour of a column, `open(row, name)` is called when a row is clicked, with the name of the
// column if a bar was hit, and `look(row)` when the pointer is at a row, or nowhere (null).
export function plot(place, chart, { colour, soft, line, open, look }) {
  const monthly = chart.rows.every((row) => MONTHS.test(row.on));
  const at = monthly ? chart.rows.map((_, index) => index) : chart.rows.map((row) => Date.parse(row.on) / 1000);
  // A bar is as wide as the shortest distance between two of them lets it be, and is whole at the edges too.
  const gaps = at.slice(1).map((place, index) => place - at[index]);
  const margin = 0.6 * Math.min(...(gaps.length ? gaps : [monthly ? 1 : DAY_SECONDS]));
  const drawn = stacked(chart);
  const bars = uPlot.paths.bars({ size: [0.6, 40, 3] });
  const steps = uPlot.paths.stepped({ align: 1 });
  const looks = {
    bar: (name) => ({ paths: bars, fill: colour(name), stroke: colour(name), width: 0, points: { show: false } }),
    line: (name) => ({ stroke: colour(name), width: 2, points: { show: true, size: 7, fill: colour(name) } }),
    steps: (name) => ({ paths: steps, stroke: colour(name), fill: `color-mix(in srgb, ${colour(name)} 15%, transparent)`, width: 2, points: { show: true, size: 5, fill: colour(name) } }),
  };
  const whole = drawn.every(({ column }) => column.unit === "count");
  const axis = { stroke: soft, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: "12px system-ui, sans-serif" };
  const days = { values: (_, ticks) => ticks.map(dayText), size: 44 };
  const months = { size: 30, space: MONTH_PIXELS, values: (_, ticks) => ticks.map((tick) => chart.rows[tick]?.label ?? ""), incrs: [1, 2, 3, 6, 12, 24] };
  const options = {
    width: place.clientWidth,
    height: HEIGHT,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    scales: {
      x: { time: !monthly, range: () => [at[0] - margin, at.at(-1) + margin] },
      y: { range: (_, low, high) => uPlot.rangeNum(Math.min(low ?? 0, 0), Math.max(high ?? 0, 0), { min: { pad: 0.1, soft: 0, mode: 1 }, max: { pad: 0.1, soft: 0, mode: 1 } }) },
    },
    axes: [{ ...axis, ...(monthly ? months : days) }, { ...axis, size: 60, ...(whole ? { incrs: WHOLE } : {}), values: (_, ticks) => ticks.map((tick) => compact.format(tick)) }],
    series: [{}, ...drawn.map(({ column }) => ({ ...looks[column.drawn](column.name), scale: "y" }))],
    hooks: { setCursor: [({ cursor }) => look(chart.rows[cursor.idx] ?? null)] },
  };
  const made = new uPlot(options, [at, ...drawn.map(({ values }) => values)], place);
  made.over.addEventListener("click", () => {
    const { idx, top } = made.cursor;
    if (idx !== null) open(chart.rows[idx], barAt(drawn, idx, made.posToVal(top, "y")));
  });
  return made;
}

// "1 Sep", with the year below it on the first tick and where it changes.
function dayText(seconds, place, ticks) {
  const year = (of) => new Date(of * 1000).getUTCFullYear();
  const told = dayInUtc(new Date(seconds * 1000));
  return place && year(ticks[place - 1]) === year(seconds) ? told : `${told}\n${year(seconds)}`;
}

// The name of the bar of a row that is drawn at a height: the shortest one that reaches it.
function barAt(drawn, row, height) {
  const reach = ({ column, values }) => column.drawn === "bar" && values[row] / height >= 1;
  const hit = drawn.filter(reach).sort((one, other) => Math.abs(one.values[row]) - Math.abs(other.values[row]));
  return hit[0]?.column.name;
}

// The series, from back to front: each bar reaches from zero over those that come before it, which are drawn over it.
function stacked(chart) {
  const [up, down] = [chart.rows.map(() => 0), chart.rows.map(() => 0)];
  const series = chart.columns.map((column, place) => {
    const values = chart.rows.map(({ cells }) => cells[place].value);
    if (column.drawn !== "bar") return { column, values };
    return {
      column,
      values: values.map((value, row) => {
        if (!value) return null;
        const sums = value > 0 ? up : down;
        return (sums[row] += value);
      }),
    };
  });
  const of = (bars) => series.filter(({ column }) => column.drawn && (column.drawn === "bar") === bars);
  return [...of(true).reverse(), ...of(false)];
}
