import { expect, it } from "vitest";
import { failed, reading, succeeded, unread } from "./loaded";

const problem = { title: "Broken.", fix: "", kind: "transient" as const };

it("goes from loading to loaded, and is loaded while it is read again", () => {
  const first = unread<string>();
  expect([first.state, first.reading]).toEqual(["loading", true]);
  const known = succeeded("a", 5);
  expect(known).toEqual({ state: "loaded", data: "a", at: 5, problem: undefined, reading: false });
  expect(reading(known)).toEqual({ ...known, reading: true });
});

it("keeps what was known, and since when, once a read fails", () => {
  const stale = failed(reading(succeeded("a", 5)), problem);
  expect(stale).toEqual({ state: "stale", data: "a", at: 5, problem, reading: false });
  expect(reading(stale)).toEqual({ ...stale, state: "retried", reading: true });
  expect(succeeded("b", 9).problem).toBeUndefined();
});

it("has failed as long as nothing was ever known", () => {
  const broken = failed(unread<undefined>(), problem);
  expect([broken.state, broken.at]).toEqual(["failed", undefined]);
  expect(reading(broken).state).toBe("retried");
  expect(failed(reading(broken), problem).state).toBe("failed");
  // Known, although it is nothing.
  expect(failed(succeeded(undefined, 1), problem).state).toBe("stale");
});
