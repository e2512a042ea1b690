// A severity is never a colour alone: an icon, a word, a colour.
import { t } from "./i18n.js";
import { html } from "./ui.js";

const ICONS = { critical: "●", warning: "▲", info: "■" };

export const SeverityIcon = ({ of }) => html`<i aria-hidden="true">${ICONS[of] ?? "■"}</i>`;
export const Severity = ({ of }) => html`<span class=${`chip ${of}`}><${SeverityIcon} of=${of} />${t(`severity.${of}`)}</span>`;
