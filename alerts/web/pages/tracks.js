// The last minute of a call as level bars, the agent above and the customer below.
import { t } from "./i18n.js";
import { figure, timer } from "./format.js";
import { html } from "./ui.js";

const SECONDS = 60;
const STEP = 6; // drawing units a second
const HALF = 36;
const QUIET_DBOV = -60;
const LOUD_DBOV = -10;
const METRIC = "volume.over_baseline_db";

// A second without speech has no level and no bar; the line in the middle goes on.
function height(measured) {
  const level = measured?.["volume.level_dbov"];
  if (level === null || level === undefined || measured["speech.active"] === 0) return 0;
  return Math.max(1, Math.min(1, Math.max(0, (level - QUIET_DBOV) / (LOUD_DBOV - QUIET_DBOV))) * HALF);
}

// `scores` is [{at_seconds, sides}] in order; `limit` is the level limit in dB over the own baseline.
export function Tracks({ scores, limit }) {
  const end = scores.at(-1)?.at_seconds ?? 0;
  const recent = scores.filter((score) => score.at_seconds > end - SECONDS);
  const x = (at) => (SECONDS - (end - at) - 1) * STEP;
  const beyond = (sides) => limit !== undefined && (sides.agent?.[METRIC] ?? -Infinity) > limit;
  const both = ({ sides }) => height(sides.agent) > 0 && height(sides.customer) > 0;
  const overlaps = recent.filter(both).length;
  const from = recent.find((score) => beyond(score.sides));
  const said = t("tracks.label", { n: recent.length, over: overlaps });
  return html`<figure class="tracks">
    <svg viewBox=${`0 0 ${SECONDS * STEP} ${HALF * 2 + 10}`} role="img" aria-label=${said} preserveAspectRatio="none">
      ${recent.filter(both).map((score) => html`
        <rect class="overlap" x=${x(score.at_seconds)} y="0" width=${STEP} height=${HALF * 2 + 10} />`)}
      ${recent.map((score) => {
        const [agent, customer] = [height(score.sides.agent), height(score.sides.customer)];
        const left = x(score.at_seconds) + 0.8;
        return html`<g key=${score.at_seconds}>
          ${agent > 0 && html`<rect class=${beyond(score.sides) ? "agent beyond" : "agent"} x=${left} y=${HALF - agent} width=${STEP - 1.6} height=${agent} />`}
          ${customer > 0 && html`<rect class="customer" x=${left} y=${HALF + 10} width=${STEP - 1.6} height=${customer} />`}
        </g>`;
      })}
      <path class="axis" d=${`M0 ${HALF}.5H${SECONDS * STEP}M0 ${HALF + 9.5}H${SECONDS * STEP}`} />
      ${from && html`<path class="limit" d=${`M${x(from.at_seconds)} 0V${HALF * 2 + 10}`} />`}
    </svg>
    <figcaption><span>${timer(Math.max(0, end - SECONDS))}</span>
      ${overlaps > 0 && html`<span class="warning">▲ ${t("tracks.overlap", { n: overlaps })}</span>`}
      ${from && html`<span class="critical">● ${t("tracks.beyond", { n: figure(limit, 0, true), at: timer(from.at_seconds) })}</span>`}
      <span>${timer(end)}</span></figcaption>
  </figure>`;
}
