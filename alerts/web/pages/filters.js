// Search, filters and the export of the log.
import { may } from "./api.js";
import { named, t } from "./i18n.js";
import { clearFilters, filters, isFiltered, items, numbers, PERIODS, query, setFilter, total } from "./log_state.js";
import { html } from "./ui.js";

// A choice stays in its list though nothing is counted under it any more.
function Choice({ name, options }) {
  const value = filters.value[name] ?? "";
  const all = value && !options.some((each) => each.value === value) ? [...options, { value, words: value }] : options;
  return html`<label class=${`choice ${value ? "chosen" : ""}`}><span>${t(`filter.${name}`)}</span>
    <select value=${value} data-filter=${name} onChange=${(event) => setFilter(name, event.target.value)}>
      <option value="" selected=${value === ""}>${t("filter.any")}</option>
      ${all.map((each) => html`<option value=${each.value} selected=${each.value === value}>${each.words}</option>`)}
    </select></label>`;
}

const fixed = (prefix, values) => values.map((value) => ({ value, words: t(`${prefix}.${value}`) }));

export function Filters() {
  const counted = numbers.value;
  const teams = (counted?.by_team ?? []).map(({ team, count }) => ({ value: team, words: `${named("team", team)} (${count})` }));
  const agents = (counted?.by_agent ?? []).filter((each) => each.agent_id).map(({ agent_id: id, agent_name: name, count }) =>
    ({ value: id, words: `${name ?? id} (${count})` }));
  const categories = (counted?.by_category ?? []).map(({ category, count }) =>
    ({ value: category, words: `${named("category", category)} (${count})` }));
  const phrases = (counted?.by_phrase ?? []).map(({ phrase_id: id, count }) => ({ value: id, words: `${id} (${count})` }));
  // Nobody counts by platform: those of the rows that are here.
  const platforms = [...new Set(items.value.map((row) => row.platform))].sort().map((value) => ({ value, words: named("platform", value) }));
  return html`<form class="filters" role="search" aria-label=${t("filters")} onSubmit=${(event) => event.preventDefault()}>
    <input type="search" aria-label=${t("filter.q")} placeholder=${t("filter.q")} value=${filters.value.q ?? ""}
      onInput=${(event) => { if (!event.isComposing) setFilter("q", event.target.value.trim()); }}
      onCompositionEnd=${(event) => setFilter("q", event.target.value.trim())} />
    <span class="periods" role="group" aria-label=${t("filter.since")}>${PERIODS.map((name) => html`
      <button type="button" aria-pressed=${filters.value.since === name} onClick=${() => setFilter("since", name)}>${t(`since.${name}`)}</button>`)}</span>
    <${Choice} name="team" options=${teams} />
    <${Choice} name="agent" options=${agents} />
    <${Choice} name="category" options=${categories} />
    <${Choice} name="phrase" options=${phrases} />
    <${Choice} name="outcome" options=${fixed("outcome", ["blocked", "replaced", "held", "delivered", "platform"])} />
    <${Choice} name="review" options=${fixed("review", ["pending", "upheld", "mistaken", "exempt"])} />
    ${(platforms.length > 1 || filters.value.platform) && html`<${Choice} name="platform" options=${platforms} />`}
    ${isFiltered.value && html`<button type="button" class="plain" onClick=${clearFilters}>${t("filter.clear")}</button>`}
    <span class="gap"></span>
    <span class="quiet" role="status">${total.value === null ? "" : t("filter.total", { n: total.value })}</span>
    ${may("export") && html`<a class="button" href=${`/api/interceptions.csv?${query()}`} download>${t("export")}</a>`}
  </form>`;
}
