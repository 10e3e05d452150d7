import type { ReactNode } from "react";

export type Tone = "good" | "warn" | "bad" | "accent" | "none";

/** A state in one word. */
export function Tag({ tone = "none", children }: { tone?: Tone; children: ReactNode }) {
  return (
    <span className="tag" data-tone={tone}>
      {children}
    </span>
  );
}
