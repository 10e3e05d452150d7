import { ButtonContext } from "react-aria-components/Button";
import type { KeyboardEvent, ReactNode } from "react";

interface Props {
  /** One button. */
  children: ReactNode;
  /** What it opens. */
  opens: "dialog" | "menu";
  isOpen: boolean;
  onOpen: () => void;
  /** Loads what is opened, as soon as somebody comes near. */
  ahead: () => Promise<void>;
}

/** Has a button open something whose code is loaded then. */
export function Opener({ children, opens, isOpen, onOpen, ahead }: Props) {
  const near = () => void ahead();
  const onKeyDown = (e: KeyboardEvent) => {
    if (opens === "menu" && (e.key === "ArrowDown" || e.key === "ArrowUp")) onOpen();
  };
  const props = { onPress: onOpen, onHoverStart: near, onFocus: near, onPressStart: near, onKeyDown, "aria-haspopup": opens, "aria-expanded": isOpen };
  return <ButtonContext value={props}>{children}</ButtonContext>;
}
