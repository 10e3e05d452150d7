import { expect, test } from "vitest";
import { organizationBody, organizationMask, organizationValues, removesSooner } from "./values";

const seen = organizationValues({ name: "Demo", signInName: "demo", removeSuspendedAfter: "2592000s" });

test("only what was changed is sent, and days as the API has them", () => {
  expect(seen.days).toBe("30");
  expect(organizationMask(seen, { ...seen, name: "Demo " })).toBe("");
  expect(organizationMask(seen, { ...seen, days: "" })).toBe("remove_suspended_after");
  expect(organizationBody({ ...seen, days: "45" }).removeSuspendedAfter).toBe("3888000s");
  expect(organizationBody({ ...seen, days: "2,3" }).removeSuspendedAfter).toBe("198720s");
  expect(organizationBody({ ...seen, days: "soon" }).removeSuspendedAfter).toBe("soons");
});

// B-ONB-17
test("whether people may be removed at once is known before it is saved", () => {
  expect(removesSooner(seen, { ...seen, days: "10" })).toBe(true);
  expect(removesSooner(seen, { ...seen, days: "60" })).toBe(false);
  expect(removesSooner(seen, { ...seen, days: "" })).toBe(false);
  expect(removesSooner(organizationValues({}), { ...seen, days: "3650" })).toBe(true);
});
