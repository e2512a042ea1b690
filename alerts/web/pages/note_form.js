// One line in which a person says why, with ready-made answers; Enter sends, Escape leaves.
import { t } from "./i18n.js";
import { html, useLayoutEffect, useRef, useSignal } from "./ui.js";

export function NoteForm({ title, send, suggestions = [], onSend, onCancel }) {
  const field = useRef(null);
  const busy = useSignal(false);
  // Before the next key press: one who types on at once must not lose the first letters to the page's shortcuts.
  useLayoutEffect(() => field.current.focus(), []);

  async function submit(event) {
    event.preventDefault();
    const note = field.current.value.trim();
    if (!note || busy.value) return field.current.focus();
    busy.value = true;
    await onSend(note);
    busy.value = false;
  }

  function escape(event) {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    onCancel();
  }

  return html`<form class="note" onSubmit=${submit} onKeyDown=${escape} onClick=${(event) => event.stopPropagation()}>
    <label>${title}<input ref=${field} required maxlength="500" placeholder=${t("note.placeholder")} /></label>
    ${suggestions.length > 0 && html`<span class="suggestions">${suggestions.map((words) => html`
      <button type="button" class="plain" onClick=${() => { field.current.value = words; field.current.focus(); }}>${words}</button>`)}</span>`}
    <span class="buttons"><button class="primary" disabled=${busy.value}>${send}</button>
      <button type="button" onClick=${onCancel}>${t("cancel")}</button></span>
  </form>`;
}
