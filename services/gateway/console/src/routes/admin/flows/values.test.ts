import { expect, test } from "vitest";
import { daysOf, durationOf, fitting, flowMask, flowValues } from "./values";

test("what does not go with the rest is not sent", () => {
  const values = flowValues();
  expect(fitting({ ...values, autoApprove: true }).steps).toEqual([]);
  expect(fitting({ ...values, trigger: "FLOW_TRIGGER_JOIN", kinds: ["REQUEST_KIND_REVOKE"], onlyAudience: true, scope: { any: true, appIds: ["a"], entitlementIds: ["e"] } })).toMatchObject({
    kinds: [],
    onlyAudience: false,
    scope: { any: false, appIds: [], entitlementIds: ["e"] },
  });
  const step = { name: "S", reviewers: "REVIEWER_KIND_USERS", need: "STEP_NEED_ANY", userIds: ["u"], groupIds: ["g"], needCount: 3 } as const;
  expect(fitting({ ...values, steps: [{ ...step, userIds: ["u"], groupIds: ["g"] }] }).steps).toEqual([{ ...step, groupIds: [], needCount: 0 }]);
});

test("only what has changed is named", () => {
  const seen = { ...flowValues(), name: "F", maxDuration: "86400s" };
  expect(flowMask(seen, flowValues(seen))).toBe("");
  expect(flowMask(seen, { ...flowValues(seen), maxDuration: "", onlyAudience: true })).toBe("max_duration,only_audience");
});

test("durations are days", () => {
  expect(daysOf("604800s")).toBe("7");
  expect(durationOf("0,5")).toBe("43200s");
  expect(durationOf(" ")).toBe("");
  expect(durationOf("none")).toBe("");
});
