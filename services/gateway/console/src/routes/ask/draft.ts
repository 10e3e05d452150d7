import type { Entitlement } from "@/api/client";
import type { Length, Whom } from "./Ask";

/** What somebody has written and not sent. */
interface Draft {
  /** The app that the form was opened for. */
  app?: string;
  apps: string[];
  /** The bundle that the form was opened for, and those that are asked for. */
  bundle?: string;
  bundles?: string[];
  chosen: Entitlement[];
  /** Of another person and of a date it is kept that there was one, which is to be chosen again. */
  whom: Whom;
  length: Length;
  justification: string;
}

const place = "ask";

/** After how long it is not what they want any more. */
const lasts = 12 * 3600_000;

/**
 * Keeps a form that was not sent in its window, for who has written it alone: a session may end, or the
 * page be loaded anew, before it is.
 */
export const draft = {
  keep(me: string | undefined, written: Draft) {
    if (!me) return;
    if (written.chosen.length === 0 && !written.bundles?.length && written.justification.trim() === "") sessionStorage.removeItem(place);
    else sessionStorage.setItem(place, JSON.stringify({ me, at: Date.now(), ...written }));
  },
  /** What was kept of somebody for the same form. */
  read(me: string | undefined, app: string | undefined, bundle?: string): Draft | undefined {
    try {
      const kept = JSON.parse(sessionStorage.getItem(place) ?? "{}") as Draft & { me?: string; at?: number };
      return me && kept.me === me && kept.app === app && kept.bundle === bundle && Date.now() - (kept.at ?? 0) < lasts ? kept : undefined;
    } catch {
      return undefined;
    }
  },
  forget() {
    sessionStorage.removeItem(place);
  },
};
