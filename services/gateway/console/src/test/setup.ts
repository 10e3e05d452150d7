import { afterEach, beforeAll } from "vitest";
import { cleanup } from "@testing-library/react";
import { ConfirmDialog } from "@/components/Confirm";
import { startTexts } from "@/i18n";

// jsdom has none; what is escaped in tests needs no escaping.
globalThis.CSS ??= { escape: String } as unknown as typeof CSS;

beforeAll(() => startTexts("en"));
// Somebody who clicks has been near before: what opens is there.
beforeAll(ConfirmDialog.ahead);
afterEach(cleanup);
