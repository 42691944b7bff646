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
  // A part of the page's code that does not come is no call to AWS.
  [new TypeError("Failed to fetch dynamically imported module: http://x/assets/s3.js"), "page"],
  // Neither is a defect of the page.
  [new TypeError("x is not a function"), "page"],
  // A wrong signature has the status of what is not allowed, and is no matter of permissions.
  [error("SignatureDoesNotMatch", 403), "page"],
  [error("AccessDenied", 403), "final"],
  [error("ResourceNotFoundException", 400), "final"],
  [error("NotReadableError"), "final"],
  [undefined, "page"],
  ["text", "page"],
])("%s is %s", (thrown, kind) => {
  const problem = inWords(thrown);
  expect(problem.kind).toBe(kind);
  expect(problem.title).toMatch(/\w/);
  expect(problem.fix).toMatch(/\w/);
});
