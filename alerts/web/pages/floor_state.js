// The agent wall's data: one row an agent, its strips and its freshness, changed in place as scores arrive.
import { merge, openByAgent, rank } from "./alerts.js";
import { get } from "./api.js";
import { listen, now, serverNow } from "./live.js";
import { STRIPS } from "./measures.js";
import { batch, signal } from "./ui.js";

export const STRIP_SECONDS = 60;
const STALE_SECONDS = 5;
const REFRESH_SECONDS = 30;
const RETRY_SECONDS = 2;
const UNKNOWN_SECONDS = 5; // scores of calls that the server does not list must not make it answer every second
const STATES = { call: 3, hold: 3, chat: 2, idle: 1 };

export const rows = new Map(); // key -> Row
export const order = signal([]); // keys, those that need somebody first
export const calls = signal({ live: 0, scored: 0 });
export const limits = signal({});
export const teams = signal([]);
export const loaded = signal(false);
export const orderIsHeld = signal(false); // while the pointer is over the wall

// What the page keeps of one agent. `agent` and `latest` are signals, so that one score draws one row.
class Row {
  constructor(key) {
    this.key = key;
    this.agent = signal(null);
    this.latest = signal({});
    this.heardAt = signal(0);
    this.strips = new Map(STRIPS.map(({ metric }) => [metric, { at: [], value: [], draw: null }]));
  }

  isStale() {
    const { state } = this.agent.value;
    return (state === "call" || state === "hold") && now.value - this.heardAt.value > STALE_SECONDS;
  }

  // Replaced from the server's answer; the strips keep what the socket brought meanwhile.
  load(agent, heardAt) {
    const moved = this.agent.value && this.agent.value.conversation_id !== agent.conversation_id;
    if (moved || agent.state === "idle" || agent.state === "chat") this.clear();
    if (moved || this.heardAt.value === 0) this.heardAt.value = heardAt;
    for (const [metric, strip] of this.strips) {
      const points = new Map(strip.at.map((at, index) => [at, strip.value[index]]));
      for (const [at, value] of agent.strips?.[metric] ?? []) if (!points.has(at)) points.set(at, value);
      strip.at = [...points.keys()].sort((a, b) => a - b);
      strip.value = strip.at.map((at) => points.get(at));
      this.trim(strip);
      strip.draw?.();
    }
    this.agent.value = { ...agent, name: agent.name ?? agent.agent_id ?? "?" };
    this.latest.value = { ...agent.latest, ...(moved ? {} : this.latest.value) };
  }

  clear() {
    this.latest.value = {};
    this.heardAt.value = 0;
    for (const strip of this.strips.values()) strip.at = strip.value = [];
  }

  trim(strip) {
    const from = strip.at.findIndex((at) => at > strip.at[strip.at.length - 1] - STRIP_SECONDS);
    if (from > 0) {
      strip.at = strip.at.slice(from);
      strip.value = strip.value.slice(from);
    }
  }

  hear(score) {
    const at = score.at_ms / 1000;
    const measured = score.sides?.agent ?? {};
    for (const [metric, strip] of this.strips) {
      if (strip.at.length && at <= strip.at[strip.at.length - 1]) continue;
      strip.at.push(at);
      strip.value.push(measured[metric] ?? null);
      this.trim(strip);
      strip.draw?.();
    }
    this.latest.value = { ...this.latest.value, ...measured };
    this.heardAt.value = serverNow();
  }
}

const keyOf = ({ agent_id: agent, conversation_id: conversation }) => agent ?? `?${conversation}`;

// How much a row wants somebody: its gravest open alert, the newer the sooner, then trouble, then who talks at all.
function need(row) {
  const agent = row.agent.value;
  const worst = openByAgent.value.get(agent.agent_id)?.[0];
  return [worst ? rank(worst) : 0, worst?.opened_at ?? 0, agent.degraded ? 1 : 0, agent.hits > 0 ? 1 : 0, STATES[agent.state] ?? 0];
}

export function sort() {
  if (orderIsHeld.value) {
    // Nothing moves under the pointer: who left goes, who came stands at the end until it is away.
    const kept = order.value.filter((key) => rows.has(key));
    const all = [...kept, ...[...rows.keys()].filter((key) => !kept.includes(key))];
    if (all.length !== order.value.length || kept.length !== order.value.length) order.value = all;
    return;
  }
  const needs = new Map([...rows].map(([key, row]) => [key, need(row)]));
  const sorted = [...rows.keys()].sort((a, b) => {
    const [left, right] = [needs.get(a), needs.get(b)];
    const differs = left.findIndex((value, index) => value !== right[index]);
    if (differs >= 0) return right[differs] - left[differs];
    const [one, other] = [rows.get(a).agent.value, rows.get(b).agent.value];
    return one.name.localeCompare(other.name) || (a < b ? -1 : 1);
  });
  if (sorted.length !== order.value.length || sorted.some((key, index) => key !== order.value[index])) order.value = sorted;
}

let refreshTimer = 0;
let refreshing = false;
let refreshedAt = 0;
let following = false;

export async function refresh() {
  if (refreshing) return;
  refreshing = true;
  clearTimeout(refreshTimer);
  refreshTimer = 0;
  let again = RETRY_SECONDS;
  try {
    const floor = await get("/api/floor");
    batch(() => {
      const there = new Set(floor.agents.map(keyOf));
      for (const key of rows.keys()) if (!there.has(key)) rows.delete(key);
      for (const agent of floor.agents) {
        const key = keyOf(agent);
        if (!rows.has(key)) rows.set(key, new Row(key));
        rows.get(key).load(agent, floor.server_time);
      }
      calls.value = floor.calls;
      limits.value = floor.limits;
      teams.value = floor.teams;
      merge(floor.alerts);
      sort();
      loaded.value = true;
    });
    refreshedAt = Date.now();
    again = REFRESH_SECONDS;
  } finally {
    refreshing = false;
    if (following) soon(again);
  }
}

let dueAt = Infinity;


// Asks again in so many seconds, or earlier if that was asked for already.
function soon(seconds) {
  const at = Date.now() + seconds * 1000;
  if (refreshTimer && at >= dueAt) return;
  clearTimeout(refreshTimer);
  dueAt = at;
  refreshTimer = setTimeout(() => {
    refreshTimer = 0;
    refresh().catch(() => {}); // the socket's state says that the server is away; the next attempt follows
  }, seconds * 1000);
}

function hear(message) {
  if (message.type === "hello") soon(0);
  if (message.type === "interception" || message.type === "violation") soon(2);
  if (message.type === "alert") sort();
  if (message.type !== "scores" || !loaded.value) return;
  batch(() => {
    for (const score of message.items) {
      const row = rows.get(keyOf(score));
      // A call or an agent that this page has not seen yet: its name and state come with the next answer.
      if (!row || row.agent.value.conversation_id !== score.conversation_id) {
        soon(Math.max(0.5, UNKNOWN_SECONDS - (Date.now() - refreshedAt) / 1000));
      } else row.hear(score);
    }
  });
}

export function followFloor() {
  const stop = listen(hear);
  const sorting = setInterval(sort, 2000);
  following = true;
  soon(0);
  return () => {
    following = false;
    stop();
    clearInterval(sorting);
    clearTimeout(refreshTimer);
    refreshTimer = 0;
    rows.clear();
    order.value = [];
    loaded.value = false;
  };
}
