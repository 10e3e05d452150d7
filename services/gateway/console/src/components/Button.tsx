import type { Ref } from "react";
import { Button as AriaButton, type ButtonProps } from "react-aria-components/Button";

interface Props extends ButtonProps {
  ref?: Ref<HTMLButtonElement>;
  /** The one main action of a place, one that takes something away, or one beside others. */
  kind?: "main" | "danger" | "plain";
}

export function Button({ kind, ...props }: Props) {
  return <AriaButton {...props} className="button" data-kind={kind} />;
}
