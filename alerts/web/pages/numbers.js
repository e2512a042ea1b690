// The strip of figures above the log, with the bars by hour.
import { clock, figure, span } from "./format.js";
import { t } from "./i18n.js";
import { now } from "./live.js";
import { filters, numbers } from "./log_state.js";
import { html } from "./ui.js";

const BARS = 24;

function Figure({ name, value, style = "", children }) {
  return html`<div class="figure" data-figure=${name}><span>${t(`numbers.${name}`)}</span>
    <b class=${style}>${style && html`<i aria-hidden="true">▲ </i>`}${value}</b><small>${children}</small></div>`;
}

// One bar an hour over one day; over longer periods the same hours of all days together.
function ByHour({ byHour }) {
  const counts = new Array(BARS).fill(0);
  for (const { at, count } of byHour) counts[new Date(at * 1000).getHours()] += count;
  const most = Math.max(...counts);
  const said = t("numbers.by_hour_label", { n: most, hour: counts.indexOf(most) });
  return html`<div class="figure hours"><span>${t("numbers.by_hour")} · ${t(`since.${filters.value.since}`)}</span>
    <svg viewBox="0 0 240 46" role="img" aria-label=${said} preserveAspectRatio="none">
      ${most > 0 && counts.map((count, hour) => count > 0 && html`
        <rect key=${hour} class=${count === most ? "most" : ""} x=${hour * 10 + 1} y=${34 - (count / most) * 32} width="8"
          height=${(count / most) * 32} rx="1"><title>${hour}:00 · ${count}</title></rect>`)}
      <path d="M0 34.5H240" />
    </svg>
    <p aria-hidden="true"><span>0</span><span>6</span><span>12</span><span>18</span><span>24</span></p></div>`;
}

export function Numbers() {
  const found = numbers.value;
  if (!found) return html`<section class="numbers" aria-busy="true"><div class="figure"><span>${t("loading")}</span></div></section>`;
  const share = found.reviewed ? `${figure((100 * found.mistaken) / found.reviewed, 1)}%` : "—";
  const oldest = found.oldest_pending_at;
  return html`<section class="numbers" aria-label=${t("numbers")}>
    <${Figure} name="intercepted" value=${found.intercepted}>${t("numbers.per_thousand", {
      n: figure(found.per_thousand, 1), before: figure(found.per_thousand_before, 1) })}<//>
    <${Figure} name="delivered" value=${found.delivered} style=${found.delivered ? "warning" : ""}>${t("numbers.delivered_note")}<//>
    <${Figure} name="replaced" value=${found.replaced}>${t("numbers.replaced_note")}<//>
    <${Figure} name="pending" value=${found.pending}>
      ${oldest ? html`<span title=${clock(oldest)}>${t("numbers.oldest", { span: span(now.value - oldest) })}</span>` : t("numbers.none_pending")}<//>
    <${Figure} name="mistaken" value=${share}>${t("numbers.mistaken_note", { reviewed: found.reviewed, mistaken: found.mistaken })}<//>
    <${ByHour} byHour=${found.by_hour} />
  </section>`;
}
