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
