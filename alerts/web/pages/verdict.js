// What became of a sentence: the words, the icon and the colour are the same wherever it stands.
import { named, t } from "./i18n.js";
import { html } from "./ui.js";

const OUTCOMES = {
  blocked: { icon: "⊘", style: "critical" },
  platform: { icon: "⊘", style: "critical" },
  delivered: { icon: "▲", style: "warning" },
  replaced: { icon: "◐", style: "info" },
  held: { icon: "‖", style: "warning" },
};

// The outcome of a log row or of a message of a conversation, as one of the keys above, or null: nothing happened.
export function outcomeOf(message) {
  if (message.outcome === "intercepted") return message.intercepted_by === "platform" ? "platform" : "blocked";
  if (message.outcome === "violation") return "delivered";
  return OUTCOMES[message.outcome] && message.outcome !== "delivered" ? message.outcome : null;
}

export function OutcomeChip({ of }) {
  const { icon, style } = OUTCOMES[of] ?? OUTCOMES.blocked;
  return html`<span class=${`chip ${style}`}><i aria-hidden="true">${icon}</i>${t(`outcome.${of}`)}</span>`;
}

// The line under a sentence in its conversation; `full` adds category, severity and policy.
export function Aftermath({ message, full = false, words = "" }) {
  const outcome = outcomeOf(message);
  if (!outcome) return null;
  const { icon, style } = OUTCOMES[outcome];
  const hit = message.hits?.[0];
  const parts = [];
  if (full && hit) {
    parts.push(named("category", hit.category), t(`severity.${hit.severity}`));
    if (hit.how && hit.how !== "exact") parts.push(named("how", hit.how));
    if (message.policy_version) parts.push(t("policy", { n: message.policy_version }));
  }
  if (outcome === "delivered" && message.attempt > 1) parts.push(t("attempt", { n: message.attempt }));
  return html`<p class=${`aftermath ${style}`}><b><i aria-hidden="true">${icon}</i> ${t(`aftermath.${outcome}`)}</b>
    ${parts.length > 0 && ` ${parts.join(" · ")}`}
    ${outcome === "replaced" && message.delivered_text && html` ${t("received")} <q>${message.delivered_text}</q>`}
    ${words && html` <time class="quiet">${words}</time>`}</p>`;
}
