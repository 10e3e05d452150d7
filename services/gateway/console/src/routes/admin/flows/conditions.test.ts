import { expect, test } from "vitest";
import { completions } from "./conditions";

const names = (condition: string, join = false) => completions(condition, join).map((c) => c.name);

test("an empty condition begins with what can be looked at", () => {
  expect(names("")).toEqual(["beneficiary", "requester", "app", "entitlement", "request"]);
  expect(names("", true)).toEqual(["beneficiary"]);
});

test("a name that is begun is completed at the end", () => {
  expect(names("true && req")).toEqual(["requester", "request"]);
  expect(completions("true && ben")).toEqual([{ name: "beneficiary", whole: "true && beneficiary." }]);
  expect(completions("app.c")).toEqual([{ name: "app.category", whole: "app.category" }]);
});

test("nothing is completed within a text, of what is not there, and of what is whole", () => {
  expect(names('app.name == "app.')).toEqual([]);
  expect(names("salary.")).toEqual([]);
  expect(names("request.permanent")).toEqual([]);
  expect(names("request.", true)).toEqual([]);
});
