/** What lists can be filtered by, in the words of the API and of the address. */
export const checklistKinds = ["CHECKLIST_KIND_ONBOARDING", "CHECKLIST_KIND_OFFBOARDING"] as const;

export const workItemKinds = [
  "WORK_ITEM_KIND_CREATE_ACCOUNT",
  "WORK_ITEM_KIND_ASSIGN",
  "WORK_ITEM_KIND_UNASSIGN",
  "WORK_ITEM_KIND_REMOVE_ACCOUNT",
  "WORK_ITEM_KIND_FIX_OPERATION",
  "WORK_ITEM_KIND_CHANGE_SECRET",
  "WORK_ITEM_KIND_ADOPT_ACCOUNT",
  "WORK_ITEM_KIND_REMOVE_LEFT_ACCOUNT",
] as const;

export const workItemStates = ["WORK_ITEM_STATE_OPEN", "WORK_ITEM_STATE_RESOLVED", "WORK_ITEM_STATE_CANCELLED"] as const;

export const userStates = ["USER_STATE_INVITED", "USER_STATE_ACTIVE", "USER_STATE_SUSPENDED", "USER_STATE_REMOVED"] as const;

export const userKinds = ["USER_KIND_EMPLOYEE", "USER_KIND_EXTERNAL", "USER_KIND_SERVICE", "USER_KIND_AGENT"] as const;

export const roles = ["ROLE_ADMIN", "ROLE_IT_ADMIN", "ROLE_RISK_MANAGER", "ROLE_MEMBER", "ROLE_EXTERNAL"] as const;

/** The value if it is one of these; nothing otherwise. */
export function oneOf<K extends string>(value: unknown, these: readonly K[]): K | undefined {
  return these.find((k) => k === value);
}
