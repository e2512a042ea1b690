// The WebSocket: connects, resumes after the last change it saw, and says how fresh the page is.
import { get } from "./api.js";
import { signal } from "./ui.js";

const SILENCE_SECONDS = 6; // the server ticks once a second; longer silence is a dead connection
const WAITS_SECONDS = [0.3, 1, 2, 4, 8];

export const connection = signal({ state: "connecting", since: Date.now() });
export const lagSeconds = signal(null);
// Unix seconds by the server's clock, moved once a second: timers do not depend on the browser's clock.
export const now = signal(Date.now() / 1000);

const listeners = new Set();
let socket = null;
let lastSeq = null;
let heardAt = 0;
let failures = 0;
let aheadSeconds = 0; // browser's clock minus the server's
let wanted = false;
let reconnectTimer = 0;

export const serverNow = () => Date.now() / 1000 - aheadSeconds;

// `handler(message)` gets every message of the server, in order. Returns what ends it.
export function listen(handler) {
  listeners.add(handler);
  return () => listeners.delete(handler);
}

function setClock(serverTime) {
  const ahead = Date.now() / 1000 - serverTime;
  // The message itself took a while; a small difference is its journey, not the clock.
  if (Math.abs(ahead - aheadSeconds) > 0.5) aheadSeconds = ahead;
}

function receive(message) {
  heardAt = Date.now();
  if (message.type === "hello") {
    failures = 0;
    setClock(message.server_time);
    lagSeconds.value = message.lag_seconds ?? null;
    // After a resume the missed changes still follow, and only they move the cursor; `resync` says that they
    // are too many, so that one begins anew with what is open.
    if (lastSeq === null || message.resync) lastSeq = message.seq;
    connection.value = { state: "live", since: Date.now() };
  } else if (message.type === "tick") {
    setClock(message.server_time);
    lagSeconds.value = message.lag_seconds;
  }
  if (message.type !== "hello" && typeof message.seq === "number") lastSeq = Math.max(lastSeq ?? 0, message.seq);
  for (const handler of listeners) handler(message);
}

function lost() {
  socket = null;
  if (!wanted) return;
  if (connection.value.state !== "lost") connection.value = { state: "lost", since: Date.now() };
  const wait = WAITS_SECONDS[Math.min(failures, WAITS_SECONDS.length - 1)];
  failures += 1;
  clearTimeout(reconnectTimer);
  // Spread, so that a restarted server is not met by everybody at once.
  reconnectTimer = setTimeout(open, wait * 1000 * (0.75 + Math.random() / 2));
  // A session that is over refuses the socket without a reason that a page can read; this call says it.
  if (failures === 1) get("/api/me").catch(() => {});
}

function open() {
  if (!wanted || socket) return;
  const address = new URL("/ws/live", location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  if (lastSeq !== null) address.searchParams.set("after", lastSeq);
  const mine = new WebSocket(address);
  socket = mine;
  heardAt = Date.now();
  mine.onmessage = (event) => mine === socket && receive(JSON.parse(event.data));
  mine.onclose = () => mine === socket && lost();
}

function watch() {
  now.value = serverNow();
  if (socket && Date.now() - heardAt > SILENCE_SECONDS * 1000) {
    const dead = socket;
    lost();
    dead.close();
  }
}

let watching = 0;

export function connect() {
  if (wanted) return;
  wanted = true;
  connection.value = { state: "connecting", since: Date.now() };
  watching = setInterval(watch, 1000);
  open();
}

export function disconnect() {
  wanted = false;
  clearInterval(watching);
  clearTimeout(reconnectTimer);
  socket?.close();
  socket = null;
  lastSeq = null;
  failures = 0;
}

// The network came back or the page woke up: do not wait for the next attempt.
addEventListener("online", () => { clearTimeout(reconnectTimer); open(); });
