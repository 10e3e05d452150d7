/** After how long without a touch nobody is there. Longer than a page waits until it asks again by itself. */
const away = 90_000;

const touches = ["pointermove", "pointerdown", "keydown", "wheel", "touchmove"] as const;

let touched = Date.now(); // somebody has opened the page

const touch = () => {
  touched = Date.now();
};

for (const name of touches) globalThis.addEventListener?.(name, touch, { capture: true, passive: true });

/** Whether somebody has done anything at this page just now. */
export function isAttended(): boolean {
  return Date.now() - touched < away;
}
