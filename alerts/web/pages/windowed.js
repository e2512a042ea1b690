// A list of rows of one height of which only those in sight are in the page.
import { html, useEffect, useRef, useSignal } from "./ui.js";

const OVERSCAN = 6;

// `children(key, index)` draws one row; `reveal` is the key of a row that is scrolled into sight when another is named.
export function Windowed({ keys, rowHeight, reveal, onEnd, children, ...rest }) {
  const scroller = useRef(null);
  const sight = useSignal([0, 40]);

  function measure() {
    if (!scroller.current) return; // a last event of a list that is gone
    const { scrollTop, clientHeight, scrollHeight } = scroller.current;
    const first = Math.max(0, Math.floor(scrollTop / rowHeight) - OVERSCAN);
    const end = Math.ceil((scrollTop + clientHeight) / rowHeight) + OVERSCAN;
    if (first !== sight.value[0] || end !== sight.value[1]) sight.value = [first, end];
    if (onEnd && scrollHeight - scrollTop - clientHeight < rowHeight * 10) onEnd();
  }

  useEffect(() => {
    const observer = new ResizeObserver(measure);
    observer.observe(scroller.current);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    const index = keys.indexOf(reveal);
    if (index < 0) return;
    const { scrollTop, clientHeight } = scroller.current;
    const top = index * rowHeight;
    if (top < scrollTop) scroller.current.scrollTop = top;
    else if (top + rowHeight > scrollTop + clientHeight) scroller.current.scrollTop = top + rowHeight - clientHeight;
  }, [reveal]);

  const [first, end] = sight.value;
  return html`<div ref=${scroller} onScroll=${measure} ...${rest}>
    <div role="presentation" style=${{ height: `${Math.min(first, keys.length) * rowHeight}px` }}></div>
    ${keys.slice(first, end).map((key, index) => children(key, first + index))}
    <div role="presentation" style=${{ height: `${Math.max(0, keys.length - end) * rowHeight}px` }}></div>
  </div>`;
}
