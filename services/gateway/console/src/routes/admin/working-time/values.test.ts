import { expect, test } from "vitest";
import { workingTimeBody, workingTimeMask, workingTimeValues, wrongDays } from "./values";

const seen = {
  timeZone: "Europe/Berlin",
  days: [
    { day: "WEEKDAY_MONDAY" as const, windows: [{ from: "09:00", to: "12:00" }, { from: "13:00", to: "17:00" }] },
    { day: "WEEKDAY_FRIDAY" as const, windows: [{ from: "09:00", to: "13:00" }] },
  ],
  holidays: ["2026-12-25"],
};

// B-APR-05
test("a working time is read and written as it is", () => {
  const values = workingTimeValues(seen);
  expect(values.days.WEEKDAY_MONDAY).toBe("09:00-12:00, 13:00-17:00");
  expect(workingTimeBody(values)).toEqual(seen);
  expect(workingTimeMask(seen, values)).toBe("");
});

test("what people write is understood", () => {
  const values = workingTimeValues(seen);
  values.days.WEEKDAY_TUESDAY = "9:00 – 12:00;13:00-24:00";
  values.holidays = "2026-12-25, 2027-01-01\n";
  expect(workingTimeBody(values).days[1]).toEqual({ day: "WEEKDAY_TUESDAY", windows: [{ from: "09:00", to: "12:00" }, { from: "13:00", to: "24:00" }] });
  expect(workingTimeBody(values).holidays).toEqual(["2026-12-25", "2027-01-01"]);
  expect(workingTimeMask(seen, values).split(",").sort()).toEqual(["days", "holidays"]);
});

test("what is wrong stands beside its day", () => {
  expect(wrongDays({ "workingTime.days[1].windows[0]": "a time is like 09:00" }, workingTimeValues(seen))).toEqual({ WEEKDAY_FRIDAY: "a time is like 09:00" });
});
