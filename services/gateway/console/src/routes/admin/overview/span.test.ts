import { expect, test } from "vitest";
import { span } from "./span";

test("a duration is said in one unit", () => {
  expect(span("0.050s", "en")).toBe("50 ms");
  expect(span("0.0004s", "en")).toBe("0.4 ms");
  expect(span("0s", "en")).toBe("0 ms");
  expect(span("1.2345s", "en")).toBe("1.23 sec");
  expect(span("90s", "de")).toBe("1,5 Min.");
  expect(span("172800s", "en")).toBe("2 days");
});
