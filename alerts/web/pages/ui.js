// The one place where the pages take Preact, signals, htm and uPlot from.
import { h, htm } from "./vendor/index.js";

export * from "./vendor/index.js";
export const html = htm.bind(h);
