// The interception log as the page holds it: filters (kept in the address), rows, numbers, and the chosen row.
import { attempt, get, post } from "./api.js";
import { midnight } from "./format.js";
import { listen } from "./live.js";
import { batch, computed, effect, signal } from "./ui.js";

export const FILTERS = ["q", "since", "team", "agent", "category", "phrase", "outcome", "review", "platform"];
const PAGE = 100;
const DAYS = { today: 0, week: 6, month: 29, all: null };
export const PERIODS = Object.keys(DAYS);

export const filters = signal({ since: "today" });
export const items = signal([]); // LogRow, newest first
export const total = signal(null);
export const numbers = signal(null);
export const chosen = signal(null); // key of a row
export const arrived = signal(0); // rows that came while the list stood still
export const problem = signal("");

let isHeld = false; // while the pointer is over the list
let next = null;
let loadingMore = false;
let asked = 0;

export const keyOf = (row) => `${row.kind}:${row.id}`;
export const byKey = computed(() => new Map(items.value.map((row) => [keyOf(row), row])));
export const chosenRow = computed(() => byKey.value.get(chosen.value) ?? null);

// The query that the list, the numbers and the CSV share.
export function query() {
  const { since, ...rest } = filters.value;
  const wanted = new URLSearchParams();
  const back = DAYS[since ?? "all"];
  if (back !== null && back !== undefined) wanted.set("from", midnight(back));
  for (const [name, value] of Object.entries(rest)) if (value) wanted.set(name, value);
  return wanted;
}

export function setFilter(name, value) {
  filters.value = { ...filters.value, [name]: value };
}

export const isFiltered = computed(() => FILTERS.some((name) => name !== "since" && filters.value[name]));
export const clearFilters = () => (filters.value = { since: filters.value.since });

export async function reload() {
  const mine = ++asked;
  const wanted = query();
  try {
    const [list, counted] = await Promise.all([
      get(`/api/interceptions?${wanted}&limit=${PAGE}`), get(`/api/interceptions/numbers?${wanted}`)]);
    if (mine !== asked) return; // the filters changed meanwhile
    batch(() => {
      items.value = list.items;
      total.value = list.total;
      next = list.next;
      numbers.value = counted;
      arrived.value = 0;
      problem.value = "";
      if (!byKey.value.has(chosen.value)) chosen.value = list.items.length ? keyOf(list.items[0]) : null;
    });
  } catch (error) {
    if (mine === asked) problem.value = error.message;
  }
}

export async function more() {
  if (!next || loadingMore) return;
  loadingMore = true;
  const mine = asked;
  const list = await attempt(() => get(`/api/interceptions?${query()}&limit=${PAGE}&before=${encodeURIComponent(next)}`));
  if (list && mine === asked) {
    const known = byKey.value;
    items.value = [...items.value, ...list.items.filter((row) => !known.has(keyOf(row)))];
    next = list.next;
  }
  loadingMore = false;
}

export const hold = () => (isHeld = true);

export function letGo() {
  isHeld = false;
  if (arrived.value > 0 && items.value.length <= PAGE) reload();
}

export function replace(row) {
  items.value = items.value.map((each) => (keyOf(each) === keyOf(row) ? row : each));
}

export async function review(row, decision, reason) {
  const decided = await attempt(() =>
    post(`/api/interceptions/${row.kind}/${row.id}/review`, reason ? { decision, reason } : { decision }));
  if (!decided) return null;
  replace(decided);
  get(`/api/interceptions/numbers?${query()}`).then((counted) => (numbers.value = counted), () => {});
  return decided;
}

export function move(step) {
  const at = items.value.findIndex((row) => keyOf(row) === chosen.value);
  const to = items.value[Math.max(0, Math.min(items.value.length - 1, at + step))];
  if (to) chosen.value = keyOf(to);
}

function readAddress() {
  const given = new URLSearchParams(location.search);
  const found = { since: given.get("since") ?? "today" };
  for (const name of FILTERS) if (given.get(name)) found[name] = given.get(name);
  return found;
}

function writeAddress() {
  const shown = new URLSearchParams(Object.entries(filters.value).filter(([, value]) => value));
  history.replaceState(history.state, "", `${location.pathname}?${shown}`);
}

export function followLog() {
  filters.value = readAddress();
  let timer = 0;
  const later = (seconds) => {
    clearTimeout(timer);
    timer = setTimeout(reload, seconds * 1000);
  };
  const stopEffect = effect(() => {
    filters.value;
    writeAddress();
    later(0.15);
  });
  const stopListening = listen((message) => {
    if (message.type === "hello") later(0);
    if (message.type !== "interception" && message.type !== "violation") return;
    const known = byKey.peek().get(keyOf(message.item));
    if (known) return replace(message.item);
    // Nothing moves under the pointer, and pages read further down stay: then it is only said that more is there.
    if (isHeld || items.value.length > PAGE) arrived.value += 1;
    else later(0.5);
  });
  return () => {
    clearTimeout(timer);
    stopEffect();
    stopListening();
    asked += 1;
    isHeld = false;
    batch(() => { items.value = []; numbers.value = null; total.value = null; chosen.value = null; });
  };
}
