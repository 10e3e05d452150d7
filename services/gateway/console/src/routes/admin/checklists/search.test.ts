import { expect, test } from "vitest";
import { checklistSearch, exportAddress } from "./search";

// B-ONB-05
test("what the address does not say right is left out", () => {
  expect(checklistSearch({ kind: "CHECKLIST_KIND_ONBOARDING", closed: true, user: "" })).toEqual({ kind: "CHECKLIST_KIND_ONBOARDING", closed: true });
  expect(checklistSearch({ kind: "other", overdue: "", more: 1 })).toEqual({});
});

// B-ONB-08
test("what is downloaded is filtered as the list is", () => {
  expect(exportAddress({}, "csv")).toBe("/v1/checklists:export?format=csv");
  expect(exportAddress({ kind: "CHECKLIST_KIND_OFFBOARDING", user: "u", closed: true, overdue: true }, "xlsx")).toBe(
    "/v1/checklists:export?format=xlsx&kind=CHECKLIST_KIND_OFFBOARDING&userId=u&closed=true&overdue=true",
  );
});
