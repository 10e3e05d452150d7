import { expect, test } from "vitest";
import { integrationMask, integrationValues } from "./values";

test("a token that is not given is not changed", () => {
  const seen = integrationValues({ name: "Chat", scim: { baseUrl: "https://chat.example", token: "" } });
  expect(integrationMask(seen, { ...seen, baseUrl: "https://new.example" })).toBe("scim.base_url");
  expect(integrationMask(seen, { ...seen, token: "secret", name: "Talk" })).toBe("name,scim.token");
});
