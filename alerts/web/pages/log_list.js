// The log itself: one line a stopped or wrongly delivered sentence, the hit marked.
import { clock, day, midnight } from "./format.js";
import { named, t } from "./i18n.js";
import { arrived, byKey, chosen, clearFilters, hold, isFiltered, items, keyOf, letGo, more, problem, reload, total } from "./log_state.js";
import { Marked } from "./marked.js";
import { html } from "./ui.js";
import { OutcomeChip } from "./verdict.js";
import { Windowed } from "./windowed.js";

const ROW_HEIGHT = 40;

export function Reviewed({ of }) {
  const icon = { pending: "", upheld: "✓ ", mistaken: "✕ ", exempt: "○ " }[of];
  return html`<span class=${`review ${of}`}><i aria-hidden="true">${icon}</i>${t(`review.${of}`)}</span>`;
}

function LogLine({ row, index }) {
  const selected = chosen.value === keyOf(row);
  const when = row.at < midnight() ? `${day(row.at)} ${clock(row.at).slice(0, 5)}` : clock(row.at);
  return html`<div role="row" class=${`line ${row.review === "pending" ? "" : "done"}`} aria-selected=${selected} aria-rowindex=${index + 2}
      tabindex=${selected ? 0 : -1} data-row=${keyOf(row)} onClick=${() => (chosen.value = keyOf(row))}>
    <time role="gridcell" title=${`${day(row.at)} ${clock(row.at)}`}>${when}</time>
    <span role="gridcell">${row.agent_name ?? row.agent_id ?? t("agent.unknown")}</span>
    <span role="rowheader" class="text" title=${row.text}><${Marked} text=${row.text} spans=${row.spans} />${row.attempt > 1 && html`
      <span class="quiet"> · ${t("attempt", { n: row.attempt })}</span>`}</span>
    <span role="gridcell">${named("category", row.category)}</span>
    <span role="gridcell"><${OutcomeChip} of=${row.outcome} /></span>
    <span role="gridcell"><${Reviewed} of=${row.review} /></span>
  </div>`;
}

function Empty() {
  if (problem.value) return html`<p class="empty" role="alert">${problem.value} <button onClick=${reload}>${t("again")}</button></p>`;
  if (total.value === null) return html`<p class="empty" role="status">${t("loading")}</p>`;
  if (!isFiltered.value) return html`<p class="empty">${t("log.empty")}</p>`;
  return html`<p class="empty">${t("log.none")} <button onClick=${clearFilters}>${t("filter.clear")}</button></p>`;
}

export function LogList() {
  const keys = items.value.map(keyOf);
  return html`<section class="log">
    <div class="arrived" role="status">${arrived.value > 0 && html`<button onClick=${reload}>↑ ${t("log.arrived", { n: arrived.value })}</button>`}</div>
    <div class="grid" role="grid" aria-label=${t("nav.interceptions")} aria-rowcount=${(total.value ?? 0) + 1}>
    <div role="row" class="line head" aria-rowindex="1">${["time", "agent", "text", "category", "outcome", "review"].map((name) =>
      html`<span role="columnheader">${t(`log.${name}`)}</span>`)}</div>
    <${Windowed} class="rows" role="presentation" keys=${keys} rowHeight=${ROW_HEIGHT} reveal=${chosen.value} onEnd=${more}
        onPointerEnter=${hold} onPointerLeave=${letGo}>
      ${(key, index) => html`<${LogLine} key=${key} row=${byKey.value.get(key)} index=${index} />`}
    <//></div>
    ${keys.length === 0 && html`<${Empty} />`}
  </section>`;
}
