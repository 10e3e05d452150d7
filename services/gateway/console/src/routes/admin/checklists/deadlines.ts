import type { ChecklistSettings } from "@/api/client";
import { maskOf } from "@/api/mask";

type Periods = Pick<ChecklistSettings, "onboardingPeriod" | "offboardingPeriod">;

/** The update_mask of the periods that a form has changed; one that it leaves out is the default again. */
export function deadlineMask(seen: Periods, values: Periods): string {
  return maskOf({ onboardingPeriod: seen.onboardingPeriod, offboardingPeriod: seen.offboardingPeriod }, values);
}
