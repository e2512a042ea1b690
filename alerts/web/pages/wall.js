// The agent wall: one line an agent with rate, level and pitch beside own baseline and limit.
import { openByAgent } from "./alerts.js";
import { order, orderIsHeld, rows, limits, loaded, sort, teams } from "./floor_state.js";
import { timer } from "./format.js";
import { named, t } from "./i18n.js";
import { now } from "./live.js";
import { short, STRIPS } from "./measures.js";
import { selection, selectRow } from "./selection.js";
import { SeverityIcon } from "./severity.js";
import { Strip } from "./strip.js";
import { computed, html, signal, useMemo } from "./ui.js";
import { Windowed } from "./windowed.js";

const ROW_HEIGHT = 32;
const team = signal("");

// A team that has nobody at work is no choice any more.
const wanted = computed(() => (teams.value.includes(team.value) ? team.value : ""));
const shown = computed(() =>
  order.value.filter((key) => rows.has(key) && (!wanted.value || rows.get(key).agent.value.team === wanted.value)));

function State({ agent }) {
  const words = agent.state === "chat" ? t("state.chats", { n: agent.chats }) : t(`state.${agent.state}`);
  if (agent.degraded) {
    const lost = t("state.degraded", { n: Math.round((agent.lost_share ?? 0) * 100) });
    return html`<span class="chip warning" title=${t("state.degraded_title")}>▲ ${lost}</span>`;
  }
  const timed = agent.state !== "chat" && agent.since;
  return html`${words}${timed && ` ${timer(now.value - agent.since)}`}`;
}

function Measure({ row, kind }) {
  const agent = row.agent.value;
  const talks = agent.state === "call" || agent.state === "hold";
  if (!talks) return html`<span class="unknown">—</span>`;
  const value = row.latest.value[kind.metric] ?? null;
  const strip = row.strips.get(kind.metric);
  if (value === null && !strip.value.some((each) => each !== null)) {
    return html`<span class="unknown" title=${t(`unknown.${kind.column}`)}>${t(`unknown.${kind.column}`)}</span>`;
  }
  const limit = limits.value[kind.metric];
  const alert = openByAgent.value.get(agent.agent_id)?.find((each) => each.evidence?.metric === kind.metric);
  const beyond = limit !== undefined && value !== null && value > limit;
  const grave = alert?.severity === "critical";
  const text = short(kind.metric, value);
  const label = t("strip.label", { what: t(`column.${kind.column}`), value: text, limit: limit ?? "—" });
  return html`<${Strip} strip=${strip} kind=${kind} base=${kind.base(agent)} limit=${limit} grave=${grave} label=${label} />
    <b class=${beyond || alert ? (grave ? "critical" : "warning") : ""} title=${beyond ? t("beyond") : null}>
      ${beyond && html`<i aria-hidden="true">▲</i>`}${text}</b>`;
}

function Hits({ agent }) {
  if (!agent.hits) return html`<span class="quiet">0</span>`;
  const worst = openByAgent.value.get(agent.agent_id)?.find((each) => each.evidence?.text);
  const severity = worst?.severity ?? "warning";
  return html`<span class=${`chip ${severity}`} title=${t("hits.title", { n: agent.hits })}>
    <${SeverityIcon} of=${severity} />${agent.hits}</span>`;
}

function AgentRow({ row, index }) {
  const agent = row.agent.value;
  const stale = row.isStale();
  const quiet = agent.state === "idle" || stale;
  const selected = selection.value?.rowKey === row.key;
  return html`<div role="row" class=${`agent-row ${quiet ? "stale" : ""}`} aria-selected=${selected} aria-rowindex=${index + 2}
      data-agent=${agent.agent_id} tabindex=${selected ? 0 : -1} onClick=${() => selectRow(row)}>
    <span role="rowheader" class="name" title=${`${agent.name} · ${agent.team}`}>${agent.name}</span>
    <span role="gridcell"><${State} agent=${agent} />${stale && html` <em>${t("state.stale")}</em>`}</span>
    ${STRIPS.map((kind) => html`<span role="gridcell" class="measure" key=${kind.metric}><${Measure} row=${row} kind=${kind} /></span>`)}
    <span role="gridcell"><${Hits} agent=${agent} /></span>
  </div>`;
}

function Teams() {
  if (teams.value.length < 2) return null;
  return html`<select aria-label=${t("filter.team")} value=${wanted.value} onChange=${(event) => (team.value = event.target.value)}>
    <option value="">${t("filter.all_teams")}</option>
    ${teams.value.map((name) => html`<option value=${name}>${named("team", name)}</option>`)}
  </select>`;
}

export function moveRow(step) {
  const keys = shown.value;
  const at = keys.indexOf(selection.value?.rowKey);
  const next = keys[Math.max(0, Math.min(keys.length - 1, at + step))];
  if (next !== undefined) selectRow(rows.get(next));
}

export function Wall() {
  const keys = shown.value;
  const hold = useMemo(() => ({
    onPointerEnter: () => (orderIsHeld.value = true),
    onPointerLeave: () => { orderIsHeld.value = false; sort(); },
  }), []);
  return html`<section class="wall" aria-labelledby="wall-title" ...${hold}>
    <div class="bar"><h2 id="wall-title">${t("wall.title", { n: keys.length })}</h2>
      <span class="quiet">${t("wall.sorted")}</span><span class="gap"></span><${Teams} /></div>
    <div class="grid" role="grid" aria-label=${t("wall.title", { n: keys.length })} aria-rowcount=${keys.length + 1}>
      <div role="row" class="agent-row head" aria-rowindex="1">
        ${["agent", "state", "rate", "level", "pitch", "hits"].map((name) =>
          html`<span role="columnheader" title=${t(`column.${name}_title`)}>${t(`column.${name}`)}</span>`)}
      </div>
      ${loaded.value && keys.length === 0 && html`<p class="empty">${t("wall.empty")}</p>`}
      <${Windowed} class="rows" role="presentation" keys=${keys} rowHeight=${ROW_HEIGHT}
          reveal=${selection.value?.rowKey}>
        ${(key, index) => html`<${AgentRow} key=${key} row=${rows.get(key)} index=${index} />`}
      <//>
    </div>
  </section>`;
}
