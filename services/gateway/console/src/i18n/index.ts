import i18next from "i18next";
import { initReactI18next } from "react-i18next";
import { en } from "./en";

export const languages = { en: "English", de: "Deutsch" } as const;
export type Language = keyof typeof languages;

const remembered = "gatehouse.language";

export async function startTexts(language: Language = preferred()): Promise<void> {
  await i18next.use(initReactI18next).init({
    lng: "en",
    fallbackLng: "en",
    resources: { en: { translation: en } },
    interpolation: { escapeValue: false },
  });
  await speak(language);
}

/** Changes the language of all texts. Others than English are loaded when they are needed. */
export async function speak(language: Language): Promise<void> {
  if (language === "de" && !i18next.hasResourceBundle("de", "translation")) {
    i18next.addResourceBundle("de", "translation", (await import("./de")).de);
  }
  await i18next.changeLanguage(language);
  document.documentElement.lang = language;
  localStorage.setItem(remembered, language);
}

/**
 * By whose habits times are written and typed in a language: those of the region that the browser
 * names for it, so that 3/4 is in April where it is.
 */
export function region(language: string): string {
  return navigator.languages.find((l) => l.slice(0, 2) === language) ?? language;
}

function preferred(): Language {
  const wanted = [localStorage.getItem(remembered), ...navigator.languages];
  return wanted.map((w) => w?.slice(0, 2)).find((w): w is Language => w !== undefined && w in languages) ?? "en";
}
