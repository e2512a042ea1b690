// Keyboard: each screen binds its keys, one dialog shows them all.
import { t } from "./i18n.js";
import { effect, html, signal, useEffect, useRef } from "./ui.js";

const bound = signal([]); // lists of {key, words, run}
export const helpIsOpen = signal(false);

function isTyping(target) {
  return target.closest("input, textarea, select, [contenteditable]") !== null;
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (helpIsOpen.value || isTyping(event.target)) return;
  if (event.key === "?") {
    helpIsOpen.value = true;
    event.preventDefault();
    return;
  }
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  // Enter on a button or link is that button's own.
  if (name === "Enter" && event.target.closest("button, a, summary")) return;
  for (const list of bound.value) {
    const binding = list.find((each) => each.key === name);
    if (binding && binding.run(event) !== false) {
      event.preventDefault();
      return;
    }
  }
});

// Binds `keys` ([{key, words, run}]) while the component is there; `run` returning false lets the key pass.
export function useKeys(keys) {
  const current = useRef(keys);
  current.current = keys;
  useEffect(() => {
    const list = keys.map(({ key, words }, index) => ({ key, words, run: (event) => current.current[index].run(event) }));
    bound.value = [...bound.value, list];
    return () => (bound.value = bound.value.filter((each) => each !== list));
  }, []);
}

const SHOWN = { Enter: "↵", Escape: "Esc", ArrowDown: "↓", ArrowUp: "↑" };
export const Key = ({ of }) => html`<kbd aria-hidden="true">${SHOWN[of] ?? of.toUpperCase()}</kbd>`;

export function Help() {
  const dialog = useRef(null);
  useEffect(() => effect(() => {
    if (helpIsOpen.value) dialog.current.showModal();
    else if (dialog.current.open) dialog.current.close();
  }), []);
  return html`<dialog class="help" ref=${dialog} aria-labelledby="help-title" onClose=${() => (helpIsOpen.value = false)}>
    <h2 id="help-title">${t("help.title")}</h2>
    <dl>${bound.value.flat().filter((binding) => binding.words).map((binding) => html`
      <div><dt><kbd>${SHOWN[binding.key] ?? binding.key.toUpperCase()}</kbd></dt><dd>${t(binding.words)}</dd></div>`)}
      <div><dt><kbd>?</kbd></dt><dd>${t("help.this")}</dd></div>
    </dl>
    <p class="quiet">${t("help.legend")}</p>
    <form method="dialog"><button class="primary">${t("close")}</button></form>
  </dialog>`;
}
