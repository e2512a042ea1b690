// A conversation as it was, with what the customer never received standing in its place.
import { conversationOf } from "./alerts.js";
import { clock, span, timer } from "./format.js";
import { named, t } from "./i18n.js";
import { chosenRow, items, keyOf, move, numbers, review } from "./log_state.js";
import { Key, useKeys } from "./keys.js";
import { Marked } from "./marked.js";
import { may } from "./api.js";
import { NoteForm } from "./note_form.js";
import { html, useEffect, useRef, useSignal } from "./ui.js";
import { Aftermath, outcomeOf } from "./verdict.js";
import { Reviewed } from "./log_list.js";

// What the panel says about a chain: the agent's earlier attempt, and the first sentence that got through after one.
function chains(messages) {
  const notes = new Map();
  let before = null;
  let stopped = null;
  for (const message of messages) {
    if (message.side !== "agent") continue;
    const outcome = outcomeOf(message);
    if (outcome && message.attempt > 1 && before) {
      notes.set(message.id, t("chain.attempt", { span: span(message.at - before.at), n: message.attempt }));
    } else if (!outcome && stopped) {
      notes.set(message.id, t("chain.next"));
    }
    if (outcome) before = message;
    stopped = outcome && outcome !== "delivered" && outcome !== "replaced" ? message : null;
  }
  return notes;
}

function Bubble({ message, isChosen, isCall, note }) {
  const outcome = outcomeOf(message);
  const item = useRef(null);
  useEffect(() => { if (isChosen) item.current.scrollIntoView({ block: "center" }); }, [isChosen]);
  const when = isCall && message.start_seconds !== null ? timer(message.start_seconds) : clock(message.at);
  return html`<li ref=${item} class=${`${message.side} ${outcome ?? ""} ${isChosen ? "chosen" : ""}`} data-message=${message.message_id}
      data-outcome=${outcome ?? "sent"}>
    ${note && outcome && html`<p class="chain">↳ ${note}</p>`}
    <p class="bubble"><${Marked} text=${message.text} spans=${message.spans} /></p>
    ${outcome ? html`<${Aftermath} message=${message} full words=${when} />`
      : html`<p class="meta">${message.side !== "agent" && `${t(`side.${message.side}`)} `}<time>${when}</time>
        ${note && html`<span class="chain"> · ↳ ${note}</span>`}</p>`}
  </li>`;
}

// The foot: which phrase, where, how fast, and how often it was a mistake before.
function Found({ row, message }) {
  const id = row.phrases[0];
  const spanOfHit = row.spans.find(([, , phrase]) => phrase === id) ?? row.spans[0];
  const words = spanOfHit ? Array.from(row.text).slice(spanOfHit[0], spanOfHit[1]).join("") : "";
  const history = numbers.value?.by_phrase.find((each) => each.phrase_id === id);
  const how = message?.hits?.find((hit) => hit.phrase_id === id)?.how;
  const parts = [
    spanOfHit && t("found.where", { from: spanOfHit[0] + 1, to: spanOfHit[1] }),
    how && how !== "exact" && named("how", how),
    row.latency_ms !== null && row.latency_ms !== undefined && t("found.time", { n: row.latency_ms < 10 ? row.latency_ms.toFixed(1) : Math.round(row.latency_ms) }),
    history && t("found.history", { mistaken: history.mistaken, count: history.count }),
  ].filter(Boolean);
  return html`<p class="found">${t("found")} <b>${id ?? named("category", row.category)}${words && html` <q>${words}</q>`}</b>
    ${parts.map((words) => ` · ${words}`)}</p>`;
}

const NEEDS_REASON = new Set(["mistaken", "exempt"]);

function Decide({ row, message }) {
  const asked = useSignal(null); // {key, decision}: it belongs to one row, the next one is not asked by it
  const asking = asked.value?.key === keyOf(row) ? asked.value.decision : null;
  const leave = () => (asked.value = null);
  const decide = (decision) => {
    if (NEEDS_REASON.has(decision)) asked.value = { key: keyOf(row), decision };
    else review(row, decision);
  };
  useKeys(may("review") ? [
    { key: "x", words: "help.upheld", run: () => decide("upheld") },
    { key: "r", words: "help.mistaken", run: () => decide("mistaken") },
    { key: "e", words: "help.exempt", run: () => decide("exempt") },
  ] : []);
  const button = (decision, key) => html`<button class=${decision === "upheld" ? "primary" : ""} aria-keyshortcuts=${key}
    aria-pressed=${row.review === decision} onClick=${() => decide(decision)}>
    ${t(`review.${decision}`)}${NEEDS_REASON.has(decision) && "…"} <${Key} of=${key} /></button>`;
  return html`<div class="foot"><${Found} row=${row} message=${message} />
    ${row.review !== "pending" && html`<p class="decided" role="status"><${Reviewed} of=${row.review} /> · ${row.reviewed_by}
      ${row.review_reason && `${t("colon")}${row.review_reason}`}
      ${may("review") && html` <button class="plain" onClick=${() => review(row, "pending")}>${t("review.undo")}</button>`}</p>`}
    ${asking && html`<${NoteForm} key=${asking} title=${t(`review.${asking}_title`)} send=${t(`review.${asking}`)}
      suggestions=${[1, 2, 3].map((n) => t(`review.${asking}_suggestion${n}`))}
      onSend=${async (reason) => (await review(row, asking, reason)) && leave()} onCancel=${leave} />`}
    <div class="buttons">${may("review") && !asking && html`${button("upheld", "x")}${button("mistaken", "r")}${button("exempt", "e")}`}
      <span class="gap"></span>
      <button class="plain" onClick=${() => move(-1)}>${t("previous")} <${Key} of="k" /></button>
      <button class="plain" onClick=${() => move(1)}>${t("next")} <${Key} of="j" /></button></div>
  </div>`;
}

export function Conversation() {
  const row = chosenRow.value;
  const view = useSignal(null);
  const problem = useSignal("");
  useEffect(() => {
    if (!row) return undefined;
    let isGone = false;
    problem.value = "";
    conversationOf(row.platform, row.conversation_id)
      .then((answer) => !isGone && (view.value = answer), (error) => !isGone && (problem.value = error.message));
    return () => (isGone = true);
  }, [row && keyOf(row)]);
  if (!row) return html`<aside class="conversation"><p class="empty">${t(items.value.length ? "conversation.choose" : "conversation.empty")}</p></aside>`;
  const shown = view.value?.conversation.conversation_id === row.conversation_id ? view.value : null;
  const { conversation, messages } = shown ?? { conversation: row, messages: [] };
  const notes = chains(messages);
  // An edited message keeps its id: the row's own text tells which of the two it is about.
  const same = messages.filter((message) => message.message_id === row.message_id);
  const message = same.find((each) => each.text === row.text) ?? same[0];
  return html`<aside class="conversation" aria-label=${t("dialogue")}>
    <div class="head"><h2>${row.agent_name ?? row.agent_id ?? t("agent.unknown")}</h2>
      <span class="quiet">${[named("team", conversation.team), conversation.queue,
        conversation.customer_id && t("customer", { id: conversation.customer_id })].filter(Boolean).join(" · ")}</span>
      <span class="gap"></span>
      <span class="quiet">${[named("platform", conversation.platform), conversation.channel].filter(Boolean).join(" · ")}</span></div>
    ${shown ? "" : html`<p class="empty" role="status">${problem.value || t("loading")}</p>`}
    <ol class="bubbles" tabindex="0" aria-label=${t("dialogue")}>${messages.map((each) => html`<${Bubble} key=${each.id} message=${each} isCall=${conversation.kind === "call"}
      isChosen=${each === message} note=${notes.get(each.id)} />`)}</ol>
    <${Decide} row=${row} message=${message} />
  </aside>`;
}
