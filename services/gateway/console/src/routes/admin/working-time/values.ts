import type { WorkingTime } from "@/api/client";
import { maskOf } from "@/api/mask";

export const weekdays = [
  "WEEKDAY_MONDAY",
  "WEEKDAY_TUESDAY",
  "WEEKDAY_WEDNESDAY",
  "WEEKDAY_THURSDAY",
  "WEEKDAY_FRIDAY",
  "WEEKDAY_SATURDAY",
  "WEEKDAY_SUNDAY",
] as const;
export type Weekday = (typeof weekdays)[number];

/** A working time as a form has it: windows as 09:00-12:00, with commas between them; a date a line. */
export interface WorkingTimeValues {
  timeZone: string;
  days: Record<Weekday, string>;
  holidays: string;
}

export function workingTimeValues(time: WorkingTime | undefined): WorkingTimeValues {
  const windowsOf = (day: Weekday) => (time?.days?.find((d) => d.day === day)?.windows ?? []).map((w) => `${w.from}-${w.to}`).join(", ");
  return {
    timeZone: time?.timeZone ?? "",
    days: Object.fromEntries(weekdays.map((day) => [day, windowsOf(day)])) as Record<Weekday, string>,
    holidays: (time?.holidays ?? []).join("\n"),
  };
}

/** What a form says, for the API, which says what is wrong with it. */
export function workingTimeBody(values: WorkingTimeValues): Required<Pick<WorkingTime, "timeZone" | "days" | "holidays">> {
  const parts = (text: string, by: RegExp) => text.split(by).map((part) => part.trim()).filter(Boolean);
  return {
    timeZone: values.timeZone,
    days: weekdays.flatMap((day) => {
      const windows = parts(values.days[day], /[,;]/).map((window) => {
        const [from = "", to = ""] = window.split(/[-–]/).map((at) => at.trim().padStart(5, "0"));
        return { from, to };
      });
      return windows.length > 0 ? [{ day, windows }] : [];
    }),
    holidays: parts(values.holidays, /[\s,;]+/),
  };
}

/** The update_mask of what a form has changed. */
export function workingTimeMask(seen: WorkingTime, values: WorkingTimeValues): string {
  return maskOf(workingTimeBody(workingTimeValues(seen)), workingTimeBody(values));
}

/** The days that the API finds wrong, by its names of the fields: it numbers those that have windows. */
export function wrongDays(fields: Record<string, string>, values: WorkingTimeValues): Partial<Record<Weekday, string>> {
  const sent = workingTimeBody(values).days.map((d) => d.day as Weekday);
  const wrong: Partial<Record<Weekday, string>> = {};
  for (const [field, text] of Object.entries(fields)) {
    const day = sent[Number(/^workingTime\.days\[(\d+)\]/.exec(field)?.[1] ?? -1)];
    if (day) wrong[day] = text;
  }
  return wrong;
}
