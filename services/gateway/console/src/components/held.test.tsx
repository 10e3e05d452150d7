import { act, renderHook } from "@testing-library/react";
import { expect, test } from "vitest";
import { useHeld } from "./held";

test("a row that is held stays until it is let go, and the others come and go", () => {
  const one = { id: "1" };
  const two = { id: "2" };
  const { result, rerender } = renderHook(({ rows }) => useHeld(rows), { initialProps: { rows: [one, two] } });
  act(() => result.current.hold("1", true));
  rerender({ rows: [] });
  expect(result.current.shown).toEqual([one]);
  act(() => result.current.hold("1", false));
  expect(result.current.shown).toEqual([]);
});
