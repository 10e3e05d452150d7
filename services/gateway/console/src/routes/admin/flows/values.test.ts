import { expect, test } from "vitest";
import { durationOf, fitting, flowMask, flowValues, lengthOf } from "./values";

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

test("what a join-flow has, others have not, and the other way round", () => {
  const requesters = { everyone: true, groupIds: ["g"], userIds: ["u"] };
  const both = { ...flowValues(), requesters, unmatchAfter: "3600s" };
  expect(fitting({ ...both, trigger: "FLOW_TRIGGER_JOIN" })).toMatchObject({ requesters: undefined, unmatchAfter: "3600s" });
  expect(fitting({ ...both, trigger: "FLOW_TRIGGER_JOIN", unmatchAction: "UNMATCH_ACTION_KEEP" }).unmatchAfter).toBe("");
  expect(fitting(both)).toMatchObject({ requesters: { everyone: true, groupIds: [], userIds: [] }, unmatchAfter: "" });
  const seen = { ...flowValues(), name: "F" };
  expect(flowMask({ ...seen, requesters }, flowValues(seen))).toBe("requesters");
});

test("durations are days, or hours", () => {
  expect(lengthOf("5400s", "hours")).toBe("1.5");
  expect(durationOf("1,5", "hours")).toBe("5400s");
  expect(lengthOf("604800s")).toBe("7");
  expect(durationOf("0,5")).toBe("43200s");
  expect(durationOf(" ")).toBe("");
  expect(durationOf("none")).toBe("");
});
