// The login form.
import { me, post } from "./api.js";
import { t } from "./i18n.js";
import { html, useSignal } from "./ui.js";

export function Login() {
  const problem = useSignal("");
  const busy = useSignal(false);

  async function submit(event) {
    event.preventDefault();
    const fields = new FormData(event.currentTarget);
    busy.value = true;
    problem.value = "";
    try {
      me.value = await post("/api/login", { login: fields.get("login"), password: fields.get("password") });
    } catch (error) {
      problem.value = error.status === 401 ? t("login.wrong") : error.status === 429 ? t("login.later") : error.message;
    }
    busy.value = false;
  }

  return html`<main class="login">
    <form onSubmit=${submit} aria-labelledby="login-title">
      <h1 id="login-title"><img src="/static/icon.svg" alt="" width="28" height="28" /> Tonewatch</h1>
      <p class="quiet">${t("login.lead")}</p>
      <label>${t("login.name")}<input name="login" autocomplete="username" required autofocus /></label>
      <label>${t("login.password")}<input name="password" type="password" autocomplete="current-password" required /></label>
      <p class="problem" role="alert">${problem.value}</p>
      <button class="primary" disabled=${busy.value}>${t("login.enter")}</button>
    </form>
  </main>`;
}
