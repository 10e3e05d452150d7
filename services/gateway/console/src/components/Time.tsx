import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { region } from "@/i18n";

const units: [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** To make one takes longer than to show a row: there is one of each for a language. */
function once<F>(make: (language: string) => F): (language: string) => F {
  const made = new Map<string, F>();
  return (language) => {
    const one = made.get(language) ?? make(language);
    made.set(language, one);
    return one;
  };
}
const wordsOf = once((language) => new Intl.RelativeTimeFormat(language, { numeric: "auto" }));
const exactOf = once((language) => new Intl.DateTimeFormat(language, { dateStyle: "full", timeStyle: "long" }));
const shortOf = once((language) => new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }));

/** How far a time is from now, such as "in 3 days". Less than a minute is "now". */
export function distance(time: Date, now: Date, language: string): string {
  const seconds = (time.getTime() - now.getTime()) / 1000;
  const words = wordsOf(language);
  for (const [unit, length] of units) {
    if (Math.abs(seconds) >= length) return words.format(Math.trunc(seconds / length), unit);
  }
  return words.format(0, "second");
}

/** A time in words for where only words can stand, such as the name of a button. */
export function shortTime(at: string, language: string): string {
  return shortOf(region(language)).format(new Date(at));
}

/** A time as people say it, in the viewer's zone; the exact instant is shown on hover and read to programs. */
export function Time({ at, relative }: { at: string; relative?: boolean }) {
  const { i18n } = useTranslation();
  const now = useMinute();
  const time = new Date(at);
  const exact = exactOf(region(i18n.language)).format(time);
  const short = shortTime(at, i18n.language);
  return (
    <time dateTime={at} title={exact}>
      {relative ? distance(time, now, i18n.language) : short}
    </time>
  );
}

/** Now, anew each minute. */
function useMinute(): Date {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    const timer = setInterval(() => setNow(new Date()), 60_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}
