import type { ZonedDateTime } from "@internationalized/date";
import { useState } from "react";
import { expect, test } from "vitest";
import { render, screen } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { DateTime } from "./DateTime";

function Page() {
  const [value, setValue] = useState<ZonedDateTime | null>(null);
  return (
    <>
      <DateTime label="Ends" value={value} onChange={setValue} />
      <p>{value?.toAbsoluteString() ?? "none"}</p>
    </>
  );
}

test("a time that is typed is an instant", async () => {
  render(<Page />);
  await userEvent.click(screen.getAllByRole("spinbutton")[0]!);
  await userEvent.keyboard("010120991000AM");
  expect(await screen.findByText(/^2099-01-01T.*Z$/)).toBeTruthy();
});
