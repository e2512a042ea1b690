// All alerts the page knows, kept up to date by the socket, and what a person does with one.
import { attempt, get, me, post } from "./api.js";
import { listen, now } from "./live.js";
import { computed, signal } from "./ui.js";

const OPEN = new Set(["open", "seen", "owned"]);
const KEPT_SECONDS = 3600;
const RANK = { info: 1, warning: 2, critical: 3 };

export const alerts = signal(new Map()); // id -> Alert
export const isOpen = (alert) => OPEN.has(alert.state);
export const isWaiting = (alert) => alert.state === "open" || alert.state === "seen";
export const isMine = (alert) => isOpen(alert) && alert.owner === me.value?.login;
export const rank = (alert) => RANK[alert.severity] ?? 0;

export const newestFirst = computed(() =>
  [...alerts.value.values()].sort((a, b) => b.opened_at - a.opened_at || b.id - a.id));
export const waiting = computed(() => newestFirst.value.filter(isWaiting));
export const mine = computed(() => newestFirst.value.filter(isMine));

// Open alerts of an agent, gravest first: what the wall marks.
export const openByAgent = computed(() => {
  const found = new Map();
  for (const alert of newestFirst.value) {
    if (!isOpen(alert) || !alert.agent_id) continue;
    if (!found.has(alert.agent_id)) found.set(alert.agent_id, []);
    found.get(alert.agent_id).push(alert);
  }
  for (const list of found.values()) list.sort((a, b) => rank(b) - rank(a));
  return found;
});

// A repeat or an older version changes nothing: at-least-once delivery is seen once.
export function merge(list) {
  const known = new Map(alerts.value);
  let changed = false;
  for (const alert of list) {
    const before = known.get(alert.id);
    if (before && before.version >= alert.version) continue;
    known.set(alert.id, alert);
    changed = true;
  }
  for (const [id, alert] of known) {
    if (alert.closed_at && now.value - alert.closed_at > KEPT_SECONDS) changed = known.delete(id) || changed;
  }
  if (changed) alerts.value = known;
}

function hello(open) {
  const there = new Set(open.map((alert) => alert.id));
  const known = new Map(alerts.value);
  // What is open here and not there was closed while we were away; the missed changes bring its end.
  for (const [id, alert] of known) if (isOpen(alert) && !there.has(id)) known.delete(id);
  alerts.value = known;
  merge(open);
}

export function followAlerts() {
  return listen((message) => {
    if (message.type === "hello") hello(message.alerts);
    if (message.type === "alert") merge([message.alert]);
  });
}

export const forgetAlerts = () => (alerts.value = new Map());

async function act(alert, verb, note) {
  const changed = await attempt(() => post(`/api/alerts/${alert.id}/${verb}`, note ? { note } : {}));
  if (changed) merge([changed]);
  return changed;
}

export const own = (alert) => act(alert, "own");
export const resolve = (alert, note) => act(alert, "resolve", note);
export const dismiss = (alert, note) => act(alert, "dismiss", note);

export async function markSeen(alert) {
  if (alert.state !== "open" || !me.value?.may.own_alerts) return;
  await act(alert, "seen");
}

export const conversationOf = (platform, conversationId) =>
  get(`/api/conversations/${encodeURIComponent(platform)}/${encodeURIComponent(conversationId)}`);
