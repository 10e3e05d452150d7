import { Check as Tick, Minus } from "lucide-react";
import { Checkbox, type CheckboxProps } from "react-aria-components";
import type { ReactNode } from "react";

interface Props extends Omit<CheckboxProps, "children" | "className"> {
  children?: ReactNode;
}

/** Yes or no, or something of both. */
export function Check({ children, ...props }: Props) {
  return (
    <Checkbox {...props} className="check">
      {({ isSelected, isIndeterminate }) => (
        <>
          <span className="mark" aria-hidden>
            {isIndeterminate ? <Minus size={14} strokeWidth={3} /> : isSelected && <Tick size={14} strokeWidth={3} />}
          </span>
          {children}
        </>
      )}
    </Checkbox>
  );
}
