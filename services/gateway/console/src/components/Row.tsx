import { createContext, type ReactNode, useContext } from "react";

/** Where a row stands in Rows. */
export interface Place {
  index: number;
  /** How many rows there are; -1 while that is not known. */
  length: number;
  /** Where it stands in the list; undefined in a line of cards, which has its own place. */
  start?: number;
  measure?: (node: HTMLElement | null) => void;
  onFocus: () => void;
}

export const PlaceContext = createContext<Place | null>(null);

/** One row of Rows, or of a plain list. */
export function Row({ className, children }: { className?: string; children: ReactNode }) {
  const place = useContext(PlaceContext);
  if (!place) return <li className={className}>{children}</li>;
  const props = { className, "aria-posinset": place.index + 1, "aria-setsize": place.length, onFocus: place.onFocus };
  // What it contains may have rows of its own.
  const content = <PlaceContext value={null}>{children}</PlaceContext>;
  if (place.start === undefined) {
    return (
      <div {...props} role="listitem">
        {content}
      </div>
    );
  }
  return (
    <li {...props} ref={place.measure} data-index={place.index} style={{ top: place.start }}>
      {content}
    </li>
  );
}
