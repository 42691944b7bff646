import type { Problem } from "../aws/problem";

/**
 * What a page knows of something that is read, and may be read again.
 *
 *     loading ─▶ loaded ─▶ stale ─▶ retried ─▶ loaded
 *        └─────▶ failed ─▶ retried ─▶ failed
 */
export interface Loaded<T> {
  /**
   * `loading`: nothing is known yet; `loaded`: the newest read succeeded; `stale`: the newest failed, one before did not;
   * `failed`: none succeeded; `retried`: it failed, and is being read again.
   */
  state: "loading" | "loaded" | "stale" | "failed" | "retried";
  data: T | undefined;
  /** When the data was read, in milliseconds since 1970; nothing until then. */
  at: number | undefined;
  /** Why the newest read failed, if it did. */
  problem: Problem | undefined;
  /** Whether it is being read. */
  reading: boolean;
}

/** Nothing is known, and it is about to be read. */
export function unread<T>(): Loaded<T> {
  return { state: "loading", data: undefined, at: undefined, problem: undefined, reading: true };
}

/** It is being read again. */
export function reading<T>(before: Loaded<T>): Loaded<T> {
  return { ...before, state: before.problem ? "retried" : before.state, reading: true };
}

/** A read succeeded. */
export function succeeded<T>(data: T, at: number): Loaded<T> {
  return { state: "loaded", data, at, problem: undefined, reading: false };
}

/** A read failed. What was known before is still shown. */
export function failed<T>(before: Loaded<T>, problem: Problem): Loaded<T> {
  return { ...before, state: before.at === undefined ? "failed" : "stale", problem, reading: false };
}
