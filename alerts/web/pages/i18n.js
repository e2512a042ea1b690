// The words of the pages in both languages, and the switch between them.
import { signal } from "./ui.js";

const KEY = "tonewatch.language";
const LANGUAGES = ["zh", "en"];
const words = {};

function preferred() {
  const kept = localStorage.getItem(KEY);
  if (LANGUAGES.includes(kept)) return kept;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export const language = signal(preferred());

export function speak(chosen) {
  localStorage.setItem(KEY, chosen);
  language.value = chosen;
  document.documentElement.lang = chosen === "zh" ? "zh-CN" : "en";
}

export async function loadWords() {
  await Promise.all(LANGUAGES.map(async (name) => {
    const answer = await fetch(new URL(`./i18n/${name}.json`, import.meta.url));
    words[name] = await answer.json();
  }));
  speak(language.value);
}

// Reads `language`, so a component that calls it is drawn again when the language changes.
export function t(key, values = {}) {
  const text = words[language.value][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

// Ids that grow without a release (phrase categories, platforms): shown as they are until they get a word.
export function named(prefix, id) {
  return words[language.value][`${prefix}.${id}`] ?? id ?? "";
}

// Names that travel with the data in both languages, such as a rule's.
export const inLanguage = (name) => name?.[language.value] ?? name?.en ?? name?.zh ?? "";
