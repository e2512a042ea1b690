// Times and numbers as people read them.
import { t } from "./i18n.js";

const two = (number) => String(number).padStart(2, "0");

export function clock(at) {
  const date = new Date(at * 1000);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

export function day(at) {
  const date = new Date(at * 1000);
  return `${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

// Seconds since midnight of today, in the browser's own time zone.
export function midnight(daysBack = 0) {
  const date = new Date();
  date.setHours(0, 0, 0, 0);
  date.setDate(date.getDate() - daysBack);
  return date.getTime() / 1000;
}

export function timer(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const hours = Math.floor(whole / 3600);
  const rest = `${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return hours ? `${hours}:${rest}` : rest;
}

export function span(seconds) {
  if (seconds < 60) return t("span.seconds", { n: Math.max(0, Math.round(seconds)) });
  if (seconds < 3600) return t("span.minutes", { n: Math.floor(seconds / 60) });
  if (seconds < 86400) return t("span.hours", { n: Math.floor(seconds / 3600) });
  return t("span.days", { n: Math.floor(seconds / 86400) });
}

export const ago = (seconds) => (seconds < 1 ? t("now") : t("ago", { span: span(seconds) }));

// With a true minus sign, so that columns of figures line up.
export function figure(value, digits = 0, signed = false) {
  if (value === null || value === undefined) return "—";
  const text = Math.abs(value).toFixed(digits);
  const zero = Number(text) === 0;
  if (value < 0 && !zero) return `−${text}`;
  return signed && !zero ? `+${text}` : text;
}
