// B-REQ-18, B-APR-09, B-APR-13: a flow says its condition, its limits and what it asks for; it is tried
// before it is saved; and whoever asks fills that in, and reads what is wrong beside the field.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { accessible, browse, fits, signedIn } from "./browser.mjs";
import { actor, app, flow, identityProvider } from "./outside.mjs";

let boss, nora, otto, mill;

before(async () => {
  const directory = await identityProvider("Story flows");
  boss = await directory.joins("Bella Lenkt");
  nora = await directory.joins("Nora Fragt", { manager: boss });
  otto = await directory.joins("Otto Mahlt");
  mill = await app({ name: "Flow Mill", provisioning: "PROVISIONING_SUPPORT_MANUAL", ownerId: otto.id, adminIds: [otto.id], approverIds: [otto.id] }, "Miller");
  await flow({ name: "Older on the mill", trigger: "FLOW_TRIGGER_REQUEST", audience: { everyone: true }, scope: { appIds: [mill.id] }, steps: [{ name: "Approvers", reviewers: "REVIEWER_KIND_APP_APPROVERS", need: "STEP_NEED_ANY" }] });
  const asks = await actor(nora.userName);
  await asks("POST", "/v1/requests", { kind: "REQUEST_KIND_GRANT", entitlementIds: [mill.account], justification: "to grind" });
});

/** Chooses one of many in a box that finds. */
async function choose(page, box, name) {
  await box.fill(name);
  await page.getByRole("option", { name: new RegExp(`^${name}`) }).first().click();
}

test("a flow is written, tried and saved", () =>
  browse(async (browser) => {
    const { page, wrong } = await signedIn(browser, "Ada Byron", "/admin/flows/new");
    await page.getByRole("textbox", { name: "Name", exact: true }).fill("Strict on the mill");
    await choose(page, page.getByRole("combobox", { name: "Choose an app" }), "Flow Mill");
    await page.getByText("Everything in it").click();
    const condition = page.getByRole("textbox", { name: /What must hold besides/ });
    await condition.fill("benef");
    await page.getByRole("button", { name: "beneficiary", exact: true }).click();
    await page.getByRole("button", { name: "beneficiary.user_name" }).click();
    assert.equal(await condition.inputValue(), "beneficiary.user_name");
    await page.getByRole("textbox", { name: "Name of the step" }).fill("Manager");
    await page.getByRole("button", { name: "Add a step" }).click();
    await page.getByRole("textbox", { name: "Name of the step" }).nth(1).fill("Approvers");
    await page.getByRole("button", { name: "Down: Step 1" }).click();
    assert.equal(await page.getByRole("textbox", { name: "Name of the step" }).first().inputValue(), "Approvers");
    await page.getByRole("button", { name: "Move Step 2 up" }).click();
    await page.getByText("Different people in each step").click();
    await page.getByRole("textbox", { name: "Remind after working hours" }).first().fill("1.5");
    await page.getByRole("spinbutton", { name: "Least length of the justification" }).fill("10");
    await page.getByRole("button", { name: "Ask for a field" }).click();
    await page.getByRole("textbox", { name: "What the form calls it" }).fill("Cost centre");
    await page.getByRole("textbox", { name: "Key" }).fill("Cost Centre");
    await accessible(page, "the form of a flow");

    // What is wrong is said of the draft, and beside the fields when it is saved.
    await page.getByRole("button", { name: "Whom it would ask" }).click();
    await page.getByText("true or false").first().waitFor();
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByRole("alertdialog").or(page.getByRole("dialog")).getByRole("button", { name: "Save" }).click();
    await page.getByText("A condition is true or false", { exact: false }).or(page.getByText("a condition is true or false", { exact: false })).first().waitFor();
    await condition.fill(`beneficiary.user_name == "${nora.userName}"`);
    await page.getByRole("textbox", { name: "Key" }).fill("cost_centre");

    await page.getByRole("button", { name: "Whom it would ask" }).click();
    await page.getByText("Older on the mill could claim the same", { exact: false }).waitFor();
    const tries = page.getByRole("region", { name: "Try it" });
    await choose(page, tries.getByRole("combobox", { name: "For whom" }), nora.name);
    await choose(page, tries.getByRole("combobox", { name: "Something in an app" }), "Flow Mill");
    await tries.getByText("Miller", { exact: true }).click();
    await tries.getByRole("button", { name: "How would it be decided?" }).click();
    const imagined = tries.getByRole("list", { name: "An imagined request" });
    await imagined.getByText("Older on the mill: decides").waitFor();
    await imagined.getByText("Strict on the mill: another comes before it").waitFor();

    const priority = page.getByRole("spinbutton", { name: "Priority" });
    await priority.fill("7");
    await tries.getByRole("button", { name: "How would it be decided?" }).click();
    await imagined.getByText("The justification is too short").waitFor();
    await tries.getByRole("button", { name: "What would be decided otherwise?" }).click();
    await tries.getByText("1 of", { exact: false }).first().waitFor();
    await tries.getByRole("list", { name: "Real requests once more" }).getByText(nora.name, { exact: false }).waitFor();
    await page.setViewportSize({ width: 360, height: 800 });
    await fits(page, "trying a flow");
    await page.setViewportSize({ width: 1280, height: 900 });
    await accessible(page, "a flow that is tried");

    await page.getByRole("button", { name: "Save", exact: true }).click();
    const asked = page.getByRole("alertdialog").or(page.getByRole("dialog"));
    await asked.getByText("It would ask", { exact: false }).waitFor();
    await asked.getByRole("button", { name: "Save" }).click();
    await page.getByRole("heading", { name: "Strict on the mill" }).waitFor();
    await page.getByText("Cost centre", { exact: true }).waitFor();
    assert.deepEqual(wrong.filter((w) => !w.includes("400")), []);
  }));

test("whoever asks fills in what the flow asks for", () =>
  browse(async (browser) => {
    const { page } = await signedIn(browser, nora.name, `/ask?app=${mill.id}`);
    await page.getByText("Miller", { exact: true }).click();
    await page.getByText("10 characters at least.").waitFor();
    const field = page.getByRole("textbox", { name: "Cost centre" });
    await field.waitFor();
    await page.getByRole("textbox", { name: /Why/ }).fill("short");
    await page.getByRole("button", { name: "Send the request" }).click();
    await page.getByText("with a justification of 10 characters at least", { exact: false }).first().waitFor();
    await page.getByText('with "Cost centre" filled in', { exact: false }).first().waitFor();
    await accessible(page, "a form with what is wrong");
    await field.fill("4711");
    await page.getByRole("textbox", { name: /Why/ }).fill("to grind all of it");
    await page.getByRole("button", { name: "Send the request" }).click();
    await page.getByText("4711").waitFor();
  }));
