import { expect, it } from "vitest";
import { inWords, SessionEnded } from "./problem";

const error = (name: string, status?: number) =>
  Object.assign(new Error(`${name}!`), { name, $metadata: { httpStatusCode: status } });

it.each([
  [new SessionEnded(), "session"],
  [error("ExpiredTokenException", 400), "session"],
  [error("NotAuthorizedException", 400), "session"],
  [new TypeError("Failed to fetch"), "transient"],
  [error("SlowDown", 503), "transient"],
  [error("Unknown", 502), "transient"],
  [error("ProvisionedThroughputExceededException", 400), "transient"],
  [error("AccessDenied", 403), "final"],
  [error("ResourceNotFoundException", 400), "final"],
  [error("NotReadableError"), "final"],
  [undefined, "final"],
  ["text", "final"],
])("%s is %s", (thrown, kind) => {
  const problem = inWords(thrown);
  expect(problem.kind).toBe(kind);
  expect(problem.title).toMatch(/\w/);
  expect(problem.fix).toMatch(/\w/);
});
