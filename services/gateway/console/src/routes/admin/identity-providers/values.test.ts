import { expect, test } from "vitest";
import { endsIdentities, newProviderBody, providerAddresses, providerBody, providerMask, providerValues } from "./values";

const seen = providerValues({ name: "Corp", issuer: "https://corp.example", clientId: "gatehouse", hasClientSecret: true, stepUpAcrValues: ["phr"], scopes: ["profile"] });

// B-USR-20
test("a secret that is not typed is not changed", () => {
  expect(seen.clientSecret).toBe("");
  expect(providerMask(seen, { ...seen, name: "Corp sign-in", stepUpAcrValues: "phr  phrh" })).toBe("name,step_up_acr_values");
  expect(providerMask(seen, { ...seen, clientSecret: "typed" })).toBe("client_secret");
  const erased = { ...seen, clientSecret: "typed", withoutSecret: true };
  expect(providerMask(seen, erased)).toBe("client_secret");
  expect(providerBody(erased).clientSecret).toBe("");
});

test("what cannot be changed later is sent with a new one alone", () => {
  expect(providerBody(seen)).not.toHaveProperty("scopes");
  expect(newProviderBody({ ...seen, scopes: " profile groups ", sourceId: "s" })).toMatchObject({ scopes: ["profile", "groups"], sourceId: "s", stepUpAcrValues: ["phr"] });
});

test("with another issuer or client the identities end, and a first client ends none", () => {
  expect(endsIdentities(seen, { ...seen, issuer: "https://new.example" })).toBe(true);
  expect(endsIdentities(seen, { ...seen, clientId: "other" })).toBe(true);
  expect(endsIdentities(seen, { ...seen, clientSecret: "typed", name: "New" })).toBe(false);
  expect(endsIdentities({ ...seen, clientId: "" }, seen)).toBe(false);
});

test("the provider is told the addresses that it must know", () => {
  expect(providerAddresses("https://gatehouse.example", "p")).toEqual({
    redirect: "https://gatehouse.example/sign-in/p/callback",
    signedOut: "https://gatehouse.example/sign-in/p/signed-out",
    backchannel: "https://gatehouse.example/sign-in/p/backchannel-logout",
    start: "https://gatehouse.example/sign-in/p",
  });
});
