// The drawer of the live floor: one conversation with its measures, its last minute and what was said.
import { conversationOf, isOpen, newestFirst, rank } from "./alerts.js";
import { AlertButtons, Asked } from "./feed.js";
import { limits, rows } from "./floor_state.js";
import { clock, timer } from "./format.js";
import { inLanguage, named, t } from "./i18n.js";
import { listen, now } from "./live.js";
import { Marked } from "./marked.js";
import { short, STRIPS, written } from "./measures.js";
import { selectedAlert, selection } from "./selection.js";
import { Severity, SeverityIcon } from "./severity.js";
import { Tracks } from "./tracks.js";
import { html, useEffect, useSignal } from "./ui.js";
import { Aftermath } from "./verdict.js";

const REFRESH_SECONDS = 3;
const KEPT_SECONDS = 120;

// Loads the conversation, keeps its scores moving by the socket, and asks again while it goes on.
function useConversation(platform, conversationId) {
  const view = useSignal(null);
  const problem = useSignal("");
  useEffect(() => {
    view.value = null;
    problem.value = "";
    if (!conversationId) return undefined;
    let ended = false;
    let timeout = 0;
    async function load() {
      try {
        const answer = await conversationOf(platform, conversationId);
        if (ended) return;
        const known = new Map((view.value?.scores ?? []).map((score) => [score.at_seconds, score]));
        for (const score of answer.scores) known.set(score.at_seconds, score);
        answer.scores = [...known.values()].sort((a, b) => a.at_seconds - b.at_seconds);
        view.value = answer;
        problem.value = "";
      } catch (error) {
        if (!ended) problem.value = error.message;
      }
      if (!ended && !document.hidden) timeout = setTimeout(load, REFRESH_SECONDS * 1000);
    }
    const woken = () => { if (!document.hidden) { clearTimeout(timeout); load(); } };
    document.addEventListener("visibilitychange", woken);
    const stop = listen((message) => {
      if (message.type !== "scores" || !view.value) return;
      const fresh = message.items.filter((score) => score.conversation_id === conversationId)
        .map((score) => ({ at_seconds: score.at_ms / 1000, sides: score.sides }))
        .filter((score) => score.at_seconds > (view.value.scores.at(-1)?.at_seconds ?? -1));
      if (fresh.length === 0) return;
      const scores = [...view.value.scores, ...fresh];
      view.value = { ...view.value, scores: scores.filter((score) => score.at_seconds > scores.at(-1).at_seconds - KEPT_SECONDS) };
    });
    load();
    return () => {
      ended = true;
      clearTimeout(timeout);
      stop();
      document.removeEventListener("visibilitychange", woken);
    };
  }, [platform, conversationId]);
  return { view: view.value, problem: problem.value };
}

function Tile({ kind, row, latest }) {
  const value = latest[kind.metric] ?? null;
  const limit = limits.value[kind.metric];
  const beyond = limit !== undefined && value !== null && value > limit;
  const base = kind.column === "rate" ? row && kind.base(row.agent.value) : null;
  const under = value === null ? t(`unknown.${kind.column}`)
    : base ? t("tile.rate_base", { n: Math.round(base) }) : t(`tile.${kind.column}`);
  return html`<div class=${`tile ${beyond ? "beyond" : ""}`} data-metric=${kind.metric}><span>${t(`tile.${kind.column}_name`)}</span>
    <b>${beyond && html`<i aria-hidden="true" title=${t("beyond")}>▲ </i>`}${short(kind.metric, value)}</b><small>${under}</small>
    ${kind.column === "rate" && value !== null && html`<small>${heard(latest)}</small>`}</div>`;
}

// How far a rate is to be trusted: few seconds or much noise make it a guess.
function heard(latest) {
  const s = Math.round(latest["speech_rate.heard_seconds"] ?? 0);
  const snr = latest["signal.snr_db"];
  return snr === null || snr === undefined ? t("tile.heard", { s }) : t("tile.heard_snr", { s, snr: Math.round(snr) });
}

// Alerts stand among the sentences at the time they were raised.
function timeline(view) {
  const isCall = view.conversation.kind === "call";
  const said = view.messages.map((message) => ({
    key: `m${message.id}`, message,
    at: isCall && message.start_seconds !== null ? message.start_seconds : message.at,
    words: isCall && message.start_seconds !== null ? timer(message.start_seconds) : clock(message.at),
  }));
  const raised = view.alerts.filter((alert) => alert.evidence?.at_seconds !== null && alert.evidence?.at_seconds !== undefined && isCall)
    .map((alert) => ({ key: `a${alert.id}`, alert, at: alert.evidence.at_seconds, words: timer(alert.evidence.at_seconds) }));
  return [...said, ...raised].sort((a, b) => a.at - b.at);
}

function Said({ item }) {
  if (item.alert) {
    const { alert } = item;
    return html`<li class="raised"><time>${item.words}</time><p><span class=${`chip ${alert.severity}`}><${SeverityIcon} of=${alert.severity} />
      ${inLanguage(alert.rule_name)} ${written(alert.evidence.metric, alert.evidence.value, alert.evidence.unit)}</span></p></li>`;
  }
  const { message } = item;
  return html`<li class=${`${message.side} ${message.outcome}`}><time>${item.words}</time>
    <div><b>${message.side === "agent" ? message.sender_name ?? t("side.agent") : t(`side.${message.side}`)}</b>
      <p><${Marked} text=${message.text} spans=${message.spans} /></p><${Aftermath} message=${message} /></div></li>`;
}

function Head({ view, row, alert }) {
  const { conversation } = view;
  const isCall = conversation.kind === "call";
  const since = row?.agent.value.conversation_id === conversation.conversation_id ? row.agent.value.since : null;
  const started = since ?? conversation.started_at;
  const running = started && !conversation.ended_at ? ` ${timer(now.value - started)}` : "";
  return html`<div class="head">
    <button class="plain close" aria-label=${t("help.close")} title=${t("help.close")} onClick=${() => (selection.value = null)}>✕</button>
    <h2>${conversation.agent_name ?? conversation.agent_id ?? t("agent.unknown")}</h2>
    <span class="quiet">${named("team", conversation.team)} · ${t(`kind.${isCall ? "call" : "chat"}`)}${running}
      ${conversation.customer_id && ` · ${t("customer", { id: conversation.customer_id })}`}</span>
    ${alert && html`<p class="cause"><${Severity} of=${alert.severity} /> ${inLanguage(alert.rule_name)}</p>
      <div class="buttons"><${AlertButtons} alert=${alert} where="drawer" /></div><${Asked} alert=${alert} where="drawer" />`}
  </div>`;
}

export function Call() {
  const chosen = selection.value;
  const { view, problem } = useConversation(chosen?.platform, chosen?.conversationId);
  if (!chosen) return html`<aside class="drawer"><p class="empty">${t("drawer.empty")}</p></aside>`;
  const row = rows.get(chosen.rowKey);
  if (!chosen.conversationId) return html`<aside class="drawer"><p class="empty">${t("drawer.idle", { name: row?.agent.value.name ?? "" })}</p></aside>`;
  if (!view) return html`<aside class="drawer"><p class="empty" role="status">${problem || t("loading")}</p></aside>`;
  const alert = selectedAlert() ?? newestFirst.value
    .filter((each) => each.conversation_id === chosen.conversationId && isOpen(each)).sort((a, b) => rank(b) - rank(a))[0];
  const isCall = view.conversation.kind === "call";
  const items = timeline(view);
  const latest = row?.agent.value.conversation_id === chosen.conversationId ? row.latest.value : view.scores.at(-1)?.sides.agent ?? {};
  return html`<aside class="drawer" aria-label=${t("drawer")}>
    <${Head} view=${view} row=${row} alert=${alert} />
    ${isCall && html`<div class="tiles">${STRIPS.map((kind) => html`<${Tile} key=${kind.metric} kind=${kind} row=${row} latest=${latest} />`)}</div>
      <section><h3>${t("tracks")} <span class="quiet">${t("tracks.order")}</span></h3>
        ${view.scores.length ? html`<${Tracks} scores=${view.scores} limit=${limits.value["volume.over_baseline_db"]} />`
          : html`<p class="quiet">${t("tracks.empty")}</p>`}</section>`}
    <section class="dialogue"><h3>${t("dialogue")}</h3>
      ${items.length === 0 && html`<p class="quiet">${t(isCall ? "dialogue.no_words" : "dialogue.empty")}</p>`}
      <ol>${items.map((item) => html`<${Said} key=${item.key} item=${item} />`)}</ol></section>
  </aside>`;
}
