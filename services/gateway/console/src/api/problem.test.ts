import { expect, test } from "vitest";
import { Problem } from "./problem";

test("what the API answers, with its reason and its fields", async () => {
  const answer = {
    code: 3,
    message: "the request is not valid",
    details: [
      { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "UNTIL_IN_PAST", domain: "gatehouse", metadata: { item: "a" } },
      { "@type": "type.googleapis.com/google.rpc.BadRequest", fieldViolations: [{ field: "until", description: "has passed" }] },
    ],
  };
  const problem = await Problem.of(new Response(JSON.stringify(answer), { status: 400 }));
  expect(problem).toMatchObject({ status: 400, reason: "UNTIL_IN_PAST", message: "the request is not valid", metadata: { item: "a" }, fields: { until: "has passed" }, mayPass: false });
});

test("an answer that is not of the API", async () => {
  const problem = await Problem.of(new Response("<html>", { status: 503, statusText: "Service Unavailable" }));
  expect(problem).toMatchObject({ status: 503, reason: "", message: "Service Unavailable", mayPass: true });
});

test("a field that is wrong in more than one way", async () => {
  const fieldViolations = [
    { field: "name", description: "is empty" },
    { field: "ref", description: "is unknown" },
    { field: "name", description: "is not trimmed" },
  ];
  const problem = await Problem.of(new Response(JSON.stringify({ message: "no", details: [{ fieldViolations }] }), { status: 400 }));
  expect(problem.fields).toEqual({ name: "is empty; is not trimmed", ref: "is unknown" });
});
