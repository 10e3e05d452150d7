import { render } from "@testing-library/react";
import { expect, test } from "vitest";
import { AppIcon } from "./AppIcon";

test("a known icon is drawn, any other is the first letter", () => {
  const shown = (icon: string | undefined, name: string | undefined) => render(<AppIcon name={name} icon={icon} />).container.firstElementChild;
  expect(shown("chat", "Talk")?.querySelector("path")).not.toBeNull();
  expect(shown("chat", "Talk")?.textContent).toBe("");
  expect(shown("no-such", "ärger")?.textContent).toBe("Ä");
  expect(shown("constructor", "Code")?.textContent).toBe("C");
  expect(shown("", " wiki")?.textContent).toBe("W");
  expect(shown(undefined, undefined)?.textContent).toBe("");
});

test("an app has the same colour everywhere", () => {
  const tone = (small: boolean) => render(<AppIcon name="Code" icon="code" small={small} />).container.firstElementChild?.getAttribute("data-tone");
  expect(tone(true)).toBe(tone(false));
});
