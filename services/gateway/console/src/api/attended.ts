/** After how long without a touch nobody is there. Longer than a page waits until it asks again by itself. */
const away = 90_000;

/** With a screen reader or by voice, people follow links, type and move without a key or a pointer that the page hears of. */
const touches = ["pointermove", "pointerdown", "keydown", "wheel", "touchmove", "click", "input", "focusin"] as const;

let touched = Date.now(); // somebody has opened the page

const touch = () => {
  touched = Date.now();
};

for (const name of touches) globalThis.addEventListener?.(name, touch, { capture: true, passive: true });

/** Whether somebody has done anything at this page just now. */
export function isAttended(): boolean {
  return Date.now() - touched < away;
}
