import { useTranslation } from "react-i18next";
import type { WeeklyHours } from "@/api/client";
import { Button } from "@/components/Button";
import { CheckField } from "@/components/CheckField";
import { Select } from "@/components/Select";
import { TextBox } from "@/components/TextBox";

interface Props {
  /** Undefined: at any time. */
  value: WeeklyHours | undefined;
  onChange: (value: WeeklyHours | undefined) => void;
  errors: Partial<Record<string, string>>;
}

export const weekdays = ["WEEKDAY_MONDAY", "WEEKDAY_TUESDAY", "WEEKDAY_WEDNESDAY", "WEEKDAY_THURSDAY", "WEEKDAY_FRIDAY", "WEEKDAY_SATURDAY", "WEEKDAY_SUNDAY"] as const;

/** Monday to Friday, by the clock of whoever looks. */
const usual = (): WeeklyHours => ({
  timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  windows: weekdays.slice(0, 5).map((day) => ({ day, from: "09:00", to: "17:00" })),
});

/** When access may be asked for. */
export function HoursForm({ value, onChange, errors }: Props) {
  const { t } = useTranslation();
  const windows = value?.windows ?? [];
  return (
    <div className="stack tight" role="group" aria-label={t("admin.flows.hours")}>
      <CheckField label={t("admin.flows.hoursOn")} hint={t("admin.flows.hoursHint")} value={value !== undefined} onChange={(on) => onChange(on ? usual() : undefined)} />
      {value && (
        <>
          <TextBox label={t("admin.flows.timeZone")} value={value.timeZone ?? ""} onChange={(timeZone) => onChange({ ...value, timeZone })} error={errors["weeklyHours.timeZone"]} />
          {errors["weeklyHours.windows"] && (
            <span className="note" data-tone="bad" role="alert">
              {errors["weeklyHours.windows"]}
            </span>
          )}
          <ul className="stack tight" aria-label={t("admin.flows.hours")}>
            {windows.map((window, i) => (
              <li key={i} className="row">
                <Select
                  label={t("admin.flows.day")}
                  value={weekdays.find((day) => day === window.day) ?? "WEEKDAY_MONDAY"}
                  onChange={(day) => onChange({ ...value, windows: windows.with(i, { ...window, day }) })}
                  choices={Object.fromEntries(weekdays.map((day) => [day, t(`admin.flows.weekdays.${day}`)])) as Record<(typeof weekdays)[number], string>}
                />
                <TextBox label={t("admin.flows.from")} value={window.from ?? ""} onChange={(from) => onChange({ ...value, windows: windows.with(i, { ...window, from }) })} />
                <TextBox label={t("admin.flows.to")} value={window.to ?? ""} onChange={(to) => onChange({ ...value, windows: windows.with(i, { ...window, to }) })} />
                <Button aria-label={t("ask.removeApp", { name: t("admin.flows.window", { n: i + 1 }) })} onPress={() => onChange({ ...value, windows: windows.toSpliced(i, 1) })}>
                  {t("ask.remove")}
                </Button>
              </li>
            ))}
          </ul>
          <div>
            <Button onPress={() => onChange({ ...value, windows: [...windows, { day: "WEEKDAY_MONDAY", from: "09:00", to: "17:00" }] })}>{t("admin.flows.addWindow")}</Button>
          </div>
        </>
      )}
    </div>
  );
}
