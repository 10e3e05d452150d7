import { expect, test } from "vitest";
import { deadlineMask } from "./deadlines";

// B-ONB-16
test("a period that is left out is changed too, back to the default", () => {
  const seen = { onboardingPeriod: "259200s", offboardingPeriod: "86400s", etag: "e" };
  expect(deadlineMask(seen, { onboardingPeriod: "259200s", offboardingPeriod: "86400s" })).toBe("");
  expect(deadlineMask(seen, { onboardingPeriod: undefined, offboardingPeriod: "86400s" })).toBe("onboarding_period");
  expect(deadlineMask(seen, { onboardingPeriod: "0s", offboardingPeriod: "3600s" })).toBe("onboarding_period,offboarding_period");
});
