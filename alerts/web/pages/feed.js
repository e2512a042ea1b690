// The alert feed: who needs somebody, newest first, and what one does about it.
import {
  dismiss, isOpen, isWaiting, markSeen, mine, newestFirst, own, resolve, waiting,
} from "./alerts.js";
import { may, me } from "./api.js";
import { ago, timer } from "./format.js";
import { inLanguage, named, t } from "./i18n.js";
import { Key } from "./keys.js";
import { now } from "./live.js";
import { Marked } from "./marked.js";
import { limitSentence, written } from "./measures.js";
import { NoteForm } from "./note_form.js";
import { selectAlert, selectedAlert, selection } from "./selection.js";
import { Severity } from "./severity.js";
import { computed, html, signal, useEffect, useRef } from "./ui.js";

const TABS = { waiting, mine, all: newestFirst };
const tab = signal("waiting");
const asking = signal(null); // {id, verb: "resolve" | "dismiss", where: "feed" | "drawer"}: whose note is being written

// While the pointer is over the feed its rows stand still: what came meanwhile is counted above them.
const held = signal(null); // ids in the order they had, or null
const wanted = computed(() => {
  const list = TABS[tab.value].value;
  // What one is working on stays where it is, though it no longer belongs under this tab.
  const working = selectedAlert();
  if (!working || list.includes(working) || tab.value === "all") return list;
  return [...list, working].sort((a, b) => b.opened_at - a.opened_at || b.id - a.id);
});
const shown = computed(() => {
  if (!held.value) return wanted.value;
  const known = new Map(newestFirst.value.map((alert) => [alert.id, alert]));
  return held.value.map((id) => known.get(id)).filter(Boolean);
});
const arrived = computed(() => {
  if (!held.value) return 0;
  const there = new Set(held.value);
  return wanted.value.filter((alert) => !there.has(alert.id)).length;
});

const hold = () => (held.value = wanted.value.map((alert) => alert.id));
const release = () => (held.value = null);

function chooseTab(name) {
  tab.value = name;
  if (held.value) hold();
}

export function moveAlert(step) {
  const list = shown.value;
  const at = list.findIndex((alert) => alert.id === selection.value?.alertId);
  const next = list[at < 0 ? 0 : Math.max(0, Math.min(list.length - 1, at + step))];
  if (next) selectAlert(next);
}

export function openAlert(alert) {
  selectAlert(alert, true);
  markSeen(alert);
}

export function ask(alert, verb, where = "feed") {
  if (!alert || !isOpen(alert) || !may("own_alerts")) return;
  asking.value = { id: alert.id, verb, where };
}

export const take = (alert) => alert && isWaiting(alert) && may("own_alerts") && own(alert);

// What became of it, in words.
function Outcome({ alert }) {
  const who = alert.owner === me.value?.login ? t("you") : alert.owner_name ?? alert.owner;
  if (alert.state === "owned") return html` · <b>${who}</b> ${t("alert.owned")}`;
  if (alert.state === "resolved" || alert.state === "dismissed") {
    return html` · <b>${who ?? ""}</b> ${t(`alert.${alert.state}`)}${alert.note && t("colon")}${alert.note}`;
  }
  return alert.state === "ended" && html` · ${t("alert.ended")}`;
}

function Evidence({ alert }) {
  const { evidence } = alert;
  const value = evidence.text ? written(evidence.metric, evidence.value, evidence.unit) : "";
  const limit = [value, limitSentence(evidence)].filter(Boolean).join(t("comma"));
  const quote = evidence.text && html`<q><${Marked} text=${evidence.text} spans=${evidence.spans} /></q>`;
  return html`<p class="evidence">${quote}${quote && limit && " · "}${limit}<${Outcome} alert=${alert} /></p>`;
}

export function Asked({ alert, where }) {
  if (asking.value?.id !== alert.id || asking.value.where !== where) return null;
  const { verb } = asking.value;
  const run = verb === "resolve" ? resolve : dismiss;
  return html`<${NoteForm} title=${t(`${verb}.title`)} send=${t(verb)}
    suggestions=${[1, 2, 3].map((n) => t(`${verb}.suggestion${n}`))}
    onSend=${async (note) => (await run(alert, note)) && (asking.value = null)}
    onCancel=${() => (asking.value = null)} />`;
}

export function AlertButtons({ alert, where }) {
  if (!isOpen(alert) || !may("own_alerts")) return null;
  // In the feed only the next step; the drawer has them all.
  const all = where === "drawer";
  return html`
    ${isWaiting(alert) && html`<button class="primary" aria-keyshortcuts="a" onClick=${() => own(alert)}>${t("own")} <${Key} of="a" /></button>`}
    ${(all || !isWaiting(alert)) && html`<button aria-keyshortcuts="r" onClick=${() => ask(alert, "resolve", where)}>${t("resolve")} <${Key} of="r" /></button>`}
    ${all && html`<button onClick=${() => ask(alert, "dismiss", where)}>${t("dismiss")}…</button>`}`;
}

function Card({ alert }) {
  const selected = selection.value?.alertId === alert.id;
  const item = useRef(null);
  const { evidence } = alert;
  const measured = evidence.text ? "" : written(evidence.metric, evidence.value, evidence.unit);
  const during = evidence.at_seconds === null || evidence.at_seconds === undefined ? "" : ` ${timer(evidence.at_seconds)}`;
  useEffect(() => { if (selected) item.current.scrollIntoView({ block: "nearest" }); }, [selected]);
  return html`<li ref=${item} class=${`alert ${alert.severity} ${isWaiting(alert) ? "" : "handled"}`} data-alert=${alert.id}
      aria-current=${selected ? "true" : null} onClick=${() => openAlert(alert)}>
    <p class="who"><${Severity} of=${alert.severity} /><b>${alert.agent_name ?? alert.agent_id ?? t("agent.unknown")}</b>
      <span class="quiet">${named("team", alert.team)} · ${t(`kind.${alert.kind}`)}${during}</span>
      <time class="quiet" datetime=${new Date(alert.opened_at * 1000).toISOString()}>${ago(now.value - alert.opened_at)}</time></p>
    <h3>${inLanguage(alert.rule_name) || alert.rule_id}${measured && html` <span class="value">${measured}</span>`}</h3>
    <${Evidence} alert=${alert} />
    ${selected && html`<div class="buttons" onClick=${(event) => event.stopPropagation()}><${AlertButtons} alert=${alert} where="feed" />
      <button class="open" onClick=${() => openAlert(alert)}>${t("open_conversation")} <${Key} of="Enter" /></button></div>
      <${Asked} alert=${alert} where="feed" />`}
  </li>`;
}

export function Feed() {
  const list = shown.value;
  return html`<section class="feed" aria-labelledby="feed-title"><h2 id="feed-title" class="hidden">${t("feed")}</h2>
    <div class="bar"><div class="tabs" role="tablist" aria-label=${t("feed")}>${Object.keys(TABS).map((name) => html`
        <button role="tab" id=${`tab-${name}`} aria-selected=${tab.value === name} aria-controls="feed-list"
          onClick=${() => chooseTab(name)}>${t(`tab.${name}`)} <b>${TABS[name].value.length}</b></button>`)}</div>
      <span class="gap"></span><span class="quiet">${t("feed.order")}</span></div>
    <div class="arrived" role="status">${arrived.value > 0 && html`
      <button onClick=${release}>↑ ${t("feed.arrived", { n: arrived.value })}</button>`}</div>
    <div id="feed-list" role="tabpanel" aria-labelledby=${`tab-${tab.value}`} tabindex="0"
        onPointerEnter=${hold} onPointerLeave=${release}>
      ${list.length === 0 ? html`<p class="empty">${t(`feed.empty.${tab.value}`)}</p>`
        : html`<ul>${list.map((alert) => html`<${Card} key=${alert.id} alert=${alert} />`)}</ul>`}
    </div>
  </section>`;
}
