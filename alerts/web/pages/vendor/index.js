// Written by scripts/vendor.py.
export * from "./preact@11.2.0/preact.js";
export * from "./preact@11.2.0/hooks.js";
export * from "./signals@2.11.4/signals.js";
export { default as htm } from "./htm@3.1.1/htm.js";
export { default as uPlot } from "./uplot@1.6.32/uplot.js";
