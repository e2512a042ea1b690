// Calls to the backend: JSON, the session's CSRF token, and one way to report what went wrong.
import { signal } from "./ui.js";

export const me = signal(null); // null: not asked yet, false: not logged in
export const toast = signal(null); // {text, kind: "status" | "alert"}
let toastTimer = 0;

export class ApiError extends Error {
  constructor(status, detail) {
    super(detail || `HTTP ${status}`);
    this.status = status;
  }
}

export async function request(method, path, body) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && me.value) headers["X-CSRF-Token"] = me.value.csrf;
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (answer.status === 204) return null;
  const content = await answer.json().catch(() => null);
  if (answer.ok) return content;
  if (answer.status === 401 && path !== "/api/login") me.value = false;
  const detail = content?.detail;
  throw new ApiError(answer.status, typeof detail === "string" ? detail : "");
}

export const get = (path) => request("GET", path);
export const post = (path, body) => request("POST", path, body);

// `may` is what the server says one may do; it checks again itself.
export const may = (verb) => Boolean(me.value && me.value.may[verb]);

export function say(text, kind = "status") {
  clearTimeout(toastTimer);
  toast.value = { text, kind };
  toastTimer = setTimeout(() => (toast.value = null), kind === "alert" ? 8000 : 4000);
}

// Runs an action a person asked for; what fails is said instead of lost.
export async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    say(error.message, "alert");
    return null;
  }
}
