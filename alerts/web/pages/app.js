// Starts the page: words, session, socket, and the screen the address names.
import { forgetAlerts, followAlerts, waiting } from "./alerts.js";
import { attempt, get, me, post, toast } from "./api.js";
import { FloorScreen } from "./floor.js";
import { calls } from "./floor_state.js";
import { timer } from "./format.js";
import { language, loadWords, speak, t } from "./i18n.js";
import { InterceptionsScreen } from "./interceptions.js";
import { Help, helpIsOpen, Key } from "./keys.js";
import { connect, connection, disconnect, lagSeconds, now } from "./live.js";
import { Login } from "./login.js";
import { effect, html, render, signal, useEffect } from "./ui.js";

// Only screens that exist are named here; the navigation is drawn from this list.
const SCREENS = [
  { path: "/floor", words: "nav.floor", screen: FloorScreen, count: () => waiting.value.length },
  { path: "/interceptions", words: "nav.interceptions", screen: InterceptionsScreen },
];
const LATE_SECONDS = 5;
const path = signal(location.pathname);

function go(to, replace = false) {
  history[replace ? "replaceState" : "pushState"](null, "", to);
  path.value = location.pathname;
}

addEventListener("popstate", () => (path.value = location.pathname));

function follow(event) {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  go(event.currentTarget.getAttribute("href"));
}

// Says in words how fresh the page is; a screen reader hears the change of state, not every figure.
function Freshness() {
  const { state, since } = connection.value;
  if (state !== "live") {
    const seconds = Math.max(0, Math.round((now.value, Date.now() - since) / 1000));
    const words = t(state === "lost" ? "live.lost" : "live.connecting", { n: seconds });
    return html`<span class="freshness late" data-state=${state}><i aria-hidden="true">↻</i>
      <span class="hidden" role="status">${t(state === "lost" ? "live.lost_said" : "loading")}</span><span aria-hidden="true">${words}</span></span>`;
  }
  const lag = lagSeconds.value;
  const late = lag !== null && lag > LATE_SECONDS;
  const behind = lag === null ? "" : ` · ${t("live.lag", { n: lag < 60 ? lag.toFixed(1) : timer(lag) })}`;
  return html`<span class=${`freshness ${late ? "late" : ""}`} data-state="live" title=${t("live.lag_title")}>
    <i aria-hidden="true">${late ? "▲" : "●"}</i><span role="status">${t(late ? "live.late" : "live")}</span>${behind}
  </span>`;
}

function Languages() {
  return html`<span class="languages" role="group" aria-label="语言 / Language">
    <button aria-pressed=${language.value === "zh"} lang="zh-CN" onClick=${() => speak("zh")}>中</button>
    <span aria-hidden="true">/</span>
    <button aria-pressed=${language.value === "en"} lang="en" onClick=${() => speak("en")}>EN</button>
  </span>`;
}

async function leave() {
  await attempt(() => post("/api/logout"));
  me.value = false;
}

function Header() {
  const { name, roles } = me.value;
  return html`<header>
    <a class="brand" href="/floor" onClick=${follow}><img src="/static/icon.svg" alt="" width="24" height="24" />Tonewatch</a>
    <nav aria-label=${t("nav")}>${SCREENS.map(({ path: to, words, count }) => {
      const number = count?.() ?? 0;
      return html`<a href=${to} onClick=${follow} aria-current=${path.value === to ? "page" : null}>
        ${t(words)}${number > 0 && html`<b class="badge" title=${t("nav.waiting", { n: number })}>${number}</b>`}</a>`;
    })}</nav>
    <${Freshness} />
    ${path.value === "/floor" && html`<span class="scored">${t("floor.scored", calls.value)}</span>`}
    <${Languages} />
    <details class="person"><summary>${name} · ${roles.map((role) => t(`role.${role}`)).join(" · ")}</summary>
      <button onClick=${leave}>${t("logout")}</button></details>
    <button class="plain" aria-label=${t("help.title")} onClick=${() => (helpIsOpen.value = true)}><${Key} of="?" /></button>
  </header>`;
}

const Toast = () => html`<div class="toasts">
  <p role="status">${toast.value?.kind === "status" ? toast.value.text : ""}</p>
  <p role="alert">${toast.value?.kind === "alert" ? toast.value.text : ""}</p>
</div>`;

function Session() {
  useEffect(() => {
    const stop = followAlerts();
    connect();
    return () => {
      stop();
      disconnect();
      forgetAlerts();
    };
  }, []);
  const current = SCREENS.find((each) => each.path === path.value) ?? SCREENS[0];
  return html`<${Header} /><${current.screen} key=${current.path} /><${Toast} /><${Help} />`;
}

function App() {
  language.value; // the whole page is drawn again in the other language
  if (me.value === null) return html`<p class="empty" role="status">${t("loading")}</p>`;
  if (me.value === false) return html`<${Login} />`;
  return html`<${Session} />`;
}

async function start() {
  await loadWords();
  effect(() => {
    const known = SCREENS.find((each) => each.path === path.value);
    if (me.value === false && path.value !== "/login") {
      go(`/login?to=${encodeURIComponent(path.value + location.search)}`, true);
    } else if (me.value && !known) {
      const to = new URLSearchParams(location.search).get("to");
      go(SCREENS.some((each) => to?.split("?")[0] === each.path) ? to : "/floor", true);
    }
    document.title = known && me.value ? `${t(known.words)} · Tonewatch` : "Tonewatch";
  });
  render(html`<${App} />`, document.getElementById("app"));
  me.value = await get("/api/me").catch(() => false);
}

start();
