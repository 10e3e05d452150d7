import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, render, screen } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Problem } from "@/api/problem";
import { Row } from "./Row";
import { type Paged, Rows, whole } from "./Rows";

const height = 70;

// jsdom lays nothing out: every row is as high, in a window of 768 px.
beforeEach(() => {
  vi.spyOn(HTMLElement.prototype, "offsetHeight", "get").mockReturnValue(height);
  vi.spyOn(window, "scrollTo").mockImplementation(() => {});
});
afterEach(() => {
  vi.restoreAllMocks();
  scroll(0);
});

function scroll(to: number) {
  Object.defineProperty(window, "scrollY", { value: to, configurable: true });
  act(() => {
    window.dispatchEvent(new Event("scroll"));
  });
}

const numbers = (count: number, from = 1) => Array.from({ length: count }, (_, i) => `Row ${from + i}`);

function Numbers({ list, as }: { list: Paged<readonly string[]>; as?: "cards" }) {
  return (
    <QueryClientProvider client={new QueryClient()}>
      <Rows list={list} of={(rows) => rows} id={(row) => row} as={as} empty={<p>Nothing</p>}>
        {(row) => (
          <Row>
            <button>{row}</button>
          </Row>
        )}
      </Rows>
    </QueryClientProvider>
  );
}

const at = (count: number) => whole({ data: true, error: null, isPending: false, refetch: () => Promise.resolve() }, numbers(count));

/** Pages of which there are more. */
const paged = (rows: readonly string[], change: Partial<Paged<readonly string[]>> = {}): Paged<readonly string[]> => ({
  ...whole({ data: true, error: null, isPending: false, refetch: () => Promise.resolve() }, rows),
  hasNextPage: true,
  ...change,
});

test("of 100,000 rows those are there that are seen, and each knows where it stands", () => {
  render(<Numbers list={at(100_000)} />);
  expect(screen.getAllByRole("listitem").length).toBeLessThan(40);
  scroll(50_000 * height);
  const row = screen.getByText("Row 50001").closest("li")!;
  expect(row.getAttribute("aria-posinset")).toBe("50001");
  expect(row.getAttribute("aria-setsize")).toBe("100000");
  expect(screen.queryByText("Row 1")).toBeNull();
  expect(screen.getAllByRole("listitem").length).toBeLessThan(40);
});

test("the row with the focus stays, and those beside it", async () => {
  render(<Numbers list={at(1_000)} />);
  await userEvent.click(screen.getByRole("button", { name: "Row 3" }));
  scroll(500 * height);
  expect(document.activeElement?.textContent).toBe("Row 3");
  await userEvent.tab();
  expect(document.activeElement?.textContent).toBe("Row 4");
});

test("the next page is asked for when the end comes near, and not before", () => {
  const fetchNextPage = vi.fn(() => Promise.resolve());
  render(<Numbers list={paged(numbers(200), { fetchNextPage })} />);
  expect(fetchNextPage).not.toHaveBeenCalled();
  expect(screen.getByText("Row 1").closest("li")!.getAttribute("aria-setsize")).toBe("-1");
  scroll(180 * height);
  expect(fetchNextPage).toHaveBeenCalledOnce();
});

test("a next page that does not come is not asked for over and over: somebody asks", async () => {
  const fetchNextPage = vi.fn(() => Promise.resolve());
  render(<Numbers list={paged(numbers(5), { fetchNextPage, isFetchNextPageError: true, error: new Problem(500, "X", "It went wrong.") })} />);
  expect(screen.getByRole("alert").textContent).toContain("It went wrong.");
  expect(fetchNextPage).not.toHaveBeenCalled();
  await userEvent.click(screen.getByRole("button", { name: "Show more" }));
  expect(fetchNextPage).toHaveBeenCalledOnce();
});

test("what two pages have is shown once, and nothing is said to be nothing", () => {
  const { rerender } = render(<Numbers list={{ ...at(0), data: { pages: [numbers(3), numbers(3, 3)], pageParams: ["", "a"] } }} />);
  expect(screen.getAllByRole("listitem")).toHaveLength(5);
  rerender(<Numbers list={at(0)} />);
  expect(screen.getByText("Nothing")).toBeTruthy();
});

test("a first page that is empty is not the end", () => {
  const fetchNextPage = vi.fn(() => Promise.resolve());
  render(<Numbers list={paged([], { fetchNextPage })} />);
  expect(fetchNextPage).toHaveBeenCalledOnce();
  expect(screen.queryByText("Nothing")).toBeNull();
});

test("cards stand beside each other as far as there is room", () => {
  vi.spyOn(HTMLElement.prototype, "clientWidth", "get").mockReturnValue(1_000);
  render(<Numbers list={at(10_000)} as="cards" />);
  const line = screen.getByText("Row 1").closest("[data-index]")!;
  expect([...line.querySelectorAll("button")].map((b) => b.textContent)).toEqual(["Row 1", "Row 2", "Row 3"]);
  expect(screen.getByText("Row 2").closest("[role=listitem]")!.getAttribute("aria-posinset")).toBe("2");
});

test("a row is made once, however far it moves", () => {
  // Higher than is thought before it is laid out: those below move.
  vi.spyOn(HTMLElement.prototype, "offsetHeight", "get").mockReturnValue(90);
  vi.spyOn(HTMLElement.prototype, "getBoundingClientRect").mockReturnValue({ ...{ top: 0, left: 0, right: 300, bottom: 90, x: 0, y: 0 }, height: 90, width: 300 } as DOMRect);
  const made: string[] = [];
  const Counted = ({ row }: { row: string }) => {
    made.push(row);
    return <Row>{row}</Row>;
  };
  const list = at(1_000);
  render(
    <QueryClientProvider client={new QueryClient()}>
      <Rows list={list} of={(rows) => rows} id={(row) => row}>
        {(row) => <Counted row={row} />}
      </Rows>
    </QueryClientProvider>,
  );
  // 70 each is what was thought.
  expect(Number.parseFloat(screen.getByText("Row 11").style.top)).toBeGreaterThan(700);
  scroll(270);
  expect(made.filter((row) => row === "Row 11")).toHaveLength(1);
});
