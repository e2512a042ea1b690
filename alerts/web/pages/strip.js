// One small chart of a metric's last minute: grey band = own baseline, dashes = limit, what lies beyond is thick.
import { STRIP_SECONDS } from "./floor_state.js";
import { html, uPlot, useEffect, useRef } from "./ui.js";

const WIDTH = 76; // as in floor.css
const HEIGHT = 24;

function colours() {
  const style = getComputedStyle(document.documentElement);
  return (name) => style.getPropertyValue(`--${name}`).trim();
}

// All strips that changed are drawn in one animation frame, whatever number of scores came in between.
const changed = new Set();
let frame = 0;

function schedule(draw) {
  changed.add(draw);
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    const now = [...changed];
    changed.clear();
    for (const each of now) each();
  });
}

function range(kind, values, base, limit) {
  const known = values.filter((value) => value !== null);
  const spread = base === null ? 0 : kind.band(base) * 1.5;
  return [
    Math.min(kind.floor, ...known, ...(base === null ? [] : [base - spread])),
    Math.max(kind.ceiling, ...known, ...(limit === undefined ? [] : [limit * 1.05]), ...(base === null ? [] : [base + spread])),
  ];
}

function paint(chart, kind, current, colour) {
  const { ctx } = chart;
  const { left, top, width, height } = chart.bbox;
  const y = (value) => chart.valToPos(value, "y", true);
  const { base, limit } = current;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  if (base !== null) {
    const half = kind.band(base);
    ctx.fillStyle = colour("band");
    ctx.fillRect(left, y(base + half), width, y(base - half) - y(base + half));
  }
  if (limit !== undefined) {
    ctx.strokeStyle = colour("limit");
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([2 * devicePixelRatio, 2 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(left, y(limit));
    ctx.lineTo(left + width, y(limit));
    ctx.stroke();
  }
  ctx.restore();
}

// Draws the part of the line beyond the limit once more, thick; and a dot where the line ends.
function paintBeyond(chart, current, colour) {
  const { ctx, data: [at, values] } = chart;
  const { left, top, width, height } = chart.bbox;
  const { limit, grave } = current;
  const x = (value) => chart.valToPos(value, "x", true);
  const y = (value) => chart.valToPos(value, "y", true);
  const strong = colour(grave ? "critical" : "warning");
  const last = values.length - 1;
  ctx.save();
  if (limit !== undefined && values.some((value) => value !== null && value > limit)) {
    ctx.beginPath();
    ctx.rect(left, top - 2, width + 4, y(limit) - top + 2);
    ctx.clip();
    ctx.strokeStyle = strong;
    ctx.lineWidth = 2.5 * devicePixelRatio;
    ctx.lineJoin = "round";
    ctx.beginPath();
    values.forEach((value, index) => {
      if (value === null) return;
      if (index === 0 || values[index - 1] === null) ctx.moveTo(x(at[index]), y(value));
      else ctx.lineTo(x(at[index]), y(value));
    });
    ctx.stroke();
    ctx.restore();
    ctx.save();
  }
  if (last >= 0 && values[last] !== null) {
    const beyond = limit !== undefined && values[last] > limit;
    ctx.fillStyle = beyond ? strong : colour("line");
    ctx.beginPath();
    ctx.arc(x(at[last]), y(values[last]), 2.2 * devicePixelRatio, 0, 2 * Math.PI);
    ctx.fill();
  }
  ctx.restore();
}

function options(kind, current) {
  const colour = colours();
  return {
    width: WIDTH, height: HEIGHT, padding: [3, 4, 3, 2],
    legend: { show: false }, cursor: { show: false }, select: { show: false }, axes: [{ show: false }, { show: false }],
    scales: {
      x: { time: false, range: (chart) => [chart.data[0].at(-1) - STRIP_SECONDS, chart.data[0].at(-1)] },
      y: { range: (chart) => range(kind, chart.data[1], current.base, current.limit) },
    },
    series: [{}, { stroke: colour("line"), width: 1.2, points: { show: false }, spanGaps: false }],
    hooks: {
      drawClear: [(chart) => paint(chart, kind, current, colour)],
      draw: [(chart) => paintBeyond(chart, current, colour)],
    },
  };
}

// `strip` is the row's {at, value, draw}; `label` is what a screen reader is told instead of the picture.
export function Strip({ strip, kind, base, limit, grave, label }) {
  const holder = useRef(null);
  const current = useRef({});
  Object.assign(current.current, { base, limit, grave });
  useEffect(() => {
    let chart = null;
    const draw = () => {
      if (strip.at.length === 0) return;
      if (chart) chart.setData([strip.at, strip.value]);
      else chart = new uPlot(options(kind, current.current), [strip.at, strip.value], holder.current);
    };
    const mine = () => schedule(draw);
    strip.draw = mine;
    mine();
    return () => {
      changed.delete(draw);
      if (strip.draw === mine) strip.draw = null;
      chart?.destroy();
    };
  }, [strip]);
  useEffect(() => strip.draw?.(), [base, limit, grave]);
  return html`<span class="strip" ref=${holder} role="img" aria-label=${label}></span>`;
}
