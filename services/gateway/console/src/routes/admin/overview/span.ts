const units: [string, number][] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
  ["millisecond", 0.001],
];

/** A duration of the API, such as "1.5s", as people say it: in one unit, with two or three digits. */
export function span(duration: string, language: string): string {
  const seconds = Number.parseFloat(duration);
  const [unit, length] = units.find(([, length]) => seconds >= length) ?? units[units.length - 1]!;
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "short", maximumSignificantDigits: 3 }).format(seconds / length);
}
