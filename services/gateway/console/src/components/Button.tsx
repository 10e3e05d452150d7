import { Button as AriaButton, type ButtonProps } from "react-aria-components";

interface Props extends ButtonProps {
  /** The one main action of a place, one that takes something away, or one beside others. */
  kind?: "main" | "danger" | "plain";
}

export function Button({ kind, ...props }: Props) {
  return <AriaButton {...props} className="button" data-kind={kind} />;
}
