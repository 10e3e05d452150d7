import type { Organization } from "@/api/client";
import { maskOf } from "@/api/mask";
import { inSeconds } from "@/api/period";

/** What a form changes of the organization. */
export interface OrganizationValues {
  name: string;
  signInName: string;
  /** Days after which somebody who is suspended is removed; empty: never. */
  days: string;
}

const day = 86_400;

export function organizationValues(organization: Organization): OrganizationValues {
  const { name = "", signInName = "", removeSuspendedAfter } = organization;
  return { name, signInName, days: removeSuspendedAfter ? String(Number.parseFloat(removeSuspendedAfter) / day) : "" };
}

/** What is sent for the values. What is no number is left to the API to refuse. */
export function organizationBody({ name, signInName, days }: OrganizationValues): Pick<Organization, "name" | "signInName" | "removeSuspendedAfter"> {
  const words = days.trim().replace(",", ".");
  return { name: name.trim(), signInName: signInName.trim(), removeSuspendedAfter: words === "" ? undefined : inSeconds(words, day) };
}

/** The update_mask for what a form has changed. */
export function organizationMask(before: OrganizationValues, after: OrganizationValues): string {
  return maskOf(organizationBody(before), organizationBody(after));
}

/** Whether people may be removed as soon as it is saved: they have been suspended for longer than it allows from then on. */
export function removesSooner(before: OrganizationValues, after: OrganizationValues): boolean {
  const days = (values: OrganizationValues) => (values.days.trim() === "" ? Number.POSITIVE_INFINITY : Number(values.days.replace(",", ".")));
  return days(after) < days(before);
}
