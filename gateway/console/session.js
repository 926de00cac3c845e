// The admin key: typed once, kept for as long as the tab is open, sent as a bearer and never put into an address.
import { signal } from "./vendor/signals.js";

const KEPT = "llmgw.admin-key";

export const key = signal(sessionStorage.getItem(KEPT));

/** Why the reader has to show the key again. */
export const refusal = signal("");

/** @param {string} shown */
export function enter(shown) {
  sessionStorage.setItem(KEPT, shown);
  refusal.value = "";
  key.value = shown;
}

/** @param {string} [reason] */
export function leave(reason = "") {
  sessionStorage.removeItem(KEPT);
  refusal.value = reason;
  key.value = null;
}

const LOOPBACK = /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/;

/** Whether whoever is on the way can read the key. */
export const isExposed = window.location.protocol === "http:" && !LOOPBACK.test(window.location.hostname);
