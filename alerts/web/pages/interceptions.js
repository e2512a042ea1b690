// The interception log: figures, filters, the list, and the conversation in which the sentence stands.
import { Conversation } from "./conversation.js";
import { Filters } from "./filters.js";
import { t } from "./i18n.js";
import { useKeys } from "./keys.js";
import { LogList } from "./log_list.js";
import { followLog, move } from "./log_state.js";
import { Numbers } from "./numbers.js";
import { html, useEffect } from "./ui.js";

export function InterceptionsScreen() {
  useEffect(followLog, []);
  useKeys([
    { key: "j", words: "help.next", run: () => move(1) },
    { key: "k", words: "help.previous", run: () => move(-1) },
    { key: "ArrowDown", run: () => move(1) },
    { key: "ArrowUp", run: () => move(-1) },
  ]);
  return html`<main class="interceptions">
    <h1 class="hidden">${t("nav.interceptions")}</h1>
    <${Numbers} /><${Filters} /><${LogList} /><${Conversation} />
  </main>`;
}
