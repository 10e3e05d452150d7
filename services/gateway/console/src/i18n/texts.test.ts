import { expect, test } from "vitest";
import { de } from "./de";
import { en } from "./en";

/** The keys of all texts, and what each is filled with. */
function shape(texts: object, at = ""): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(texts).flatMap(([key, value]) =>
      typeof value === "string" ? [[at + key, (value.match(/\{\{\w+\}\}/g) ?? []).sort()]] : Object.entries(shape(value as object, `${at}${key}.`)),
    ),
  );
}

test("each text is there in every language, filled with the same", () => {
  expect(shape(de)).toEqual(shape(en));
});

test("no text is empty", () => {
  for (const texts of [en, de]) expect(JSON.stringify(texts)).not.toContain('""');
});

// What has one name in English has one in German.
test("German says one word for one thing", () => {
  const others = {
    Antrag: /Anfrage|anfragen/,
    Zugang: /Zugriff/,
    Genehmigung: /Zustimmung/,
    Führungskraft: /Vorgesetzte/,
    "Audit-Log": /Protokoll/,
    fehlgeschlagen: /gescheitert/,
    abgeschlossen: /Geschlossen/,
    "Admins der Anwendung": /Verwalter/,
    Verlauf: /Geschichte/,
    ID: /\bId\b/,
  };
  const texts = JSON.stringify(de);
  for (const [word, other] of Object.entries(others)) expect(texts.match(other)?.[0], word).toBeUndefined();
});
