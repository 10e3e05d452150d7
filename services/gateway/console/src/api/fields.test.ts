import { expect, test } from "vitest";
import { fieldErrors } from "./fields";
import { Problem } from "./problem";

test("a field is found under the message that was sent, and by a member of its list", () => {
  const error = new Problem(400, "X", "", {}, { "app.name": "is empty", "app.adminIds[0]": "is nobody", other: "is wrong" });
  expect(fieldErrors(error, ["name", "adminIds"], "app")).toEqual({ of: { name: "is empty", adminIds: "is nobody" }, shown: ["app.name", "app.adminIds[0]"] });
});

test("a step's own field is not the list's", () => {
  const error = new Problem(400, "X", "", {}, { "flow.steps[1].name": "is empty" });
  expect(fieldErrors(error, ["steps", "steps[1].name"], "flow").of).toEqual({ "steps[1].name": "is empty" });
});

test("what is no problem of the API names no field", () => {
  expect(fieldErrors(new Error("x"), ["name"])).toEqual({ of: {}, shown: [] });
});
