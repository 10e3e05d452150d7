/** What the views of requests show. */
export const ticketViews = { action: "REQUEST_VIEW_ACTION_REQUIRED", open: "REQUEST_VIEW_OPEN", closed: "REQUEST_VIEW_CLOSED" } as const;
