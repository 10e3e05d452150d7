import type { AccessRequest, Account, Conversation, Grant, Integration, RequestItem, User, WorkItem } from "./client";
import type { Tone } from "@/components/Tag";

/** How a state looks. What it is called is in the texts, under the same name. */
export const requestTones: Record<NonNullable<AccessRequest["state"]>, Tone> = {
  REQUEST_STATE_UNSPECIFIED: "none",
  REQUEST_STATE_SUBMITTED: "accent",
  REQUEST_STATE_PENDING: "accent",
  REQUEST_STATE_APPROVED: "accent",
  REQUEST_STATE_FULFILLED: "good",
  REQUEST_STATE_PARTLY_FULFILLED: "warn",
  REQUEST_STATE_DENIED: "bad",
  REQUEST_STATE_CANCELLING: "none",
  REQUEST_STATE_CANCELLED: "none",
};

export const conversationTones: Record<NonNullable<Conversation["state"]>, Tone> = {
  CONVERSATION_STATE_UNSPECIFIED: "none",
  CONVERSATION_STATE_WAITING: "warn",
  CONVERSATION_STATE_ANSWERED: "good",
  CONVERSATION_STATE_CLOSED: "none",
};

export const itemTones: Record<NonNullable<RequestItem["state"]>, Tone> = {
  ITEM_STATE_UNSPECIFIED: "none",
  ITEM_STATE_PENDING: "accent",
  ITEM_STATE_APPROVED: "accent",
  ITEM_STATE_FULFILLED: "good",
  ITEM_STATE_FAILED: "bad",
  ITEM_STATE_CANCELLED: "none",
  ITEM_STATE_GIVEN_UP: "warn",
  ITEM_STATE_DENIED: "bad",
};

export const grantTones: Record<NonNullable<Grant["state"]>, Tone> = {
  GRANT_STATE_UNSPECIFIED: "none",
  GRANT_STATE_PENDING: "accent",
  GRANT_STATE_ACTIVE: "good",
  GRANT_STATE_REVOKING: "warn",
  GRANT_STATE_REVOKED: "none",
  GRANT_STATE_FAILED: "bad",
  GRANT_STATE_HELD: "warn",
};

export const workItemTones: Record<NonNullable<WorkItem["state"]>, Tone> = {
  WORK_ITEM_STATE_UNSPECIFIED: "none",
  WORK_ITEM_STATE_OPEN: "accent",
  WORK_ITEM_STATE_RESOLVED: "good",
  WORK_ITEM_STATE_CANCELLED: "none",
};

export const userTones: Record<NonNullable<User["state"]>, Tone> = {
  USER_STATE_UNSPECIFIED: "none",
  USER_STATE_INVITED: "accent",
  USER_STATE_ACTIVE: "good",
  USER_STATE_SUSPENDED: "warn",
  USER_STATE_REMOVED: "none",
};

export const accountTones: Record<NonNullable<Account["state"]>, Tone> = {
  ACCOUNT_STATE_UNSPECIFIED: "none",
  ACCOUNT_STATE_ABSENT: "none",
  ACCOUNT_STATE_ACTIVE: "good",
  ACCOUNT_STATE_DISABLED: "warn",
};

export const endedRequest: readonly AccessRequest["state"][] = [
  "REQUEST_STATE_FULFILLED",
  "REQUEST_STATE_PARTLY_FULFILLED",
  "REQUEST_STATE_DENIED",
  "REQUEST_STATE_CANCELLED",
];

export const integrationTones: Record<NonNullable<Integration["state"]>, Tone> = {
  INTEGRATION_STATE_UNSPECIFIED: "none",
  INTEGRATION_STATE_UNTESTED: "warn",
  INTEGRATION_STATE_WORKING: "good",
  INTEGRATION_STATE_FAILING: "bad",
};
