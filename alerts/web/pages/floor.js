// The live floor: alert feed, agent wall and the drawer with one conversation.
import { may } from "./api.js";
import { Call } from "./call.js";
import { ask, Feed, moveAlert, openAlert, take } from "./feed.js";
import { followFloor } from "./floor_state.js";
import { t } from "./i18n.js";
import { useKeys } from "./keys.js";
import { selectedAlert, selection } from "./selection.js";
import { html, useEffect } from "./ui.js";
import { moveRow, Wall } from "./wall.js";

const inWall = (event) => event.target.closest(".wall") !== null;
const step = (by) => (event) => (inWall(event) ? moveRow(by) : moveAlert(by));

export function FloorScreen() {
  useEffect(followFloor, []);
  useEffect(() => () => (selection.value = null), []);
  useKeys([
    { key: "j", words: "help.next", run: step(1) },
    { key: "k", words: "help.previous", run: step(-1) },
    { key: "ArrowDown", run: (event) => inWall(event) && moveRow(1) },
    { key: "ArrowUp", run: (event) => inWall(event) && moveRow(-1) },
    { key: "Enter", words: "help.open", run: () => selectedAlert() && openAlert(selectedAlert()) },
    ...(may("own_alerts") ? [
      { key: "a", words: "help.own", run: () => take(selectedAlert()) },
      { key: "r", words: "help.resolve", run: () => ask(selectedAlert(), "resolve") },
    ] : []),
    { key: "Escape", words: "help.close", run: () => (selection.value = null) },
  ]);
  return html`<main class=${`floor ${selection.value ? "opened" : ""}`}>
    <h1 class="hidden">${t("nav.floor")}</h1>
    <${Feed} /><${Wall} /><${Call} />
  </main>`;
}
