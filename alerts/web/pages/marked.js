// A sentence with its hits marked.
import { html } from "./ui.js";

// Spans count code points of the text, JavaScript's strings count UTF-16 units: hence the array.
export function pieces(text, spans) {
  const points = Array.from(text);
  const sorted = spans.map(([start, end]) => [Math.max(0, start), Math.min(points.length, end)])
    .filter(([start, end]) => start < end)
    .sort((a, b) => a[0] - b[0] || b[1] - a[1]);
  const found = [];
  let at = 0;
  for (const [start, end] of sorted) {
    if (end <= at) continue;
    const from = Math.max(at, start);
    if (from > at) found.push({ text: points.slice(at, from).join(""), hit: false });
    const last = found[found.length - 1];
    if (last?.hit && from === at) last.text += points.slice(from, end).join("");
    else found.push({ text: points.slice(from, end).join(""), hit: true });
    at = end;
  }
  if (at < points.length) found.push({ text: points.slice(at).join(""), hit: false });
  return found;
}

export const Marked = ({ text, spans }) =>
  pieces(text ?? "", spans ?? []).map((piece) => (piece.hit ? html`<mark>${piece.text}</mark>` : piece.text));
