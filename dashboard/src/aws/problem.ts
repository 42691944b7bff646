/** What went wrong, in words for the person at the page. */
export interface Problem {
  title: string;
  /** What to do about it. */
  fix: string;
  /** `session`: sign in again; `transient`: the same may work later; `final`: it will not. */
  kind: "session" | "transient" | "final";
}

/** The session has ended: nothing works until somebody signs in again. */
export class SessionEnded extends Error {
  override name = "SessionEnded";
}

interface ServiceError {
  name?: string;
  message?: string;
  $metadata?: { httpStatusCode?: number };
}

/** Names by which services say that the credentials or the token have expired or been revoked. */
const EXPIRED = new Set([
  "ExpiredToken",
  "ExpiredTokenException",
  "RequestExpired",
  "InvalidToken",
  "UnrecognizedClientException",
  "InvalidAccessKeyId",
  "NotAuthorizedException",
]);
const TRANSIENT = new Set([
  "InternalError",
  "InternalServerError",
  "InternalServerException",
  "InternalErrorException",
  "RequestTimeout",
  "RequestTimeoutException",
  "ServiceUnavailable",
  "SlowDown",
  "ThrottlingException",
  "TooManyRequestsException",
  "ProvisionedThroughputExceededException",
  "TimeoutError",
  "NetworkError",
]);

/** Whether credentials must be fetched again. */
export function isExpired(error: unknown): boolean {
  return EXPIRED.has((error as ServiceError | undefined)?.name ?? "");
}

/** Whether an error is the answer to an abort that the page itself asked for. */
export function isAbort(error: unknown): boolean {
  return (error as ServiceError | undefined)?.name === "AbortError";
}

/** Puts an error into words. */
export function inWords(error: unknown): Problem {
  const { name = "", message = "", $metadata } = (error ?? {}) as ServiceError;
  const status = $metadata?.httpStatusCode;
  if (name === "SessionEnded" || isExpired(error)) {
    return { title: "Your session has ended.", fix: "Sign in again.", kind: "session" };
  }
  // Browsers do not tell why a request failed: fetch gives a TypeError of some text.
  if (name === "TypeError" || TRANSIENT.has(name) || status === 0 || (status ?? 0) >= 500 || status === 429) {
    return {
      title:
        name === "TypeError" || name === "NetworkError" || status === 0 ? "AWS cannot be reached." : message || name,
      fix: "Check your network connection; it is tried again.",
      kind: "transient",
    };
  }
  if (name === "AccessDenied" || name === "AccessDeniedException" || status === 403) {
    return {
      title: "You are not allowed to do this.",
      fix: "Ask whoever runs this stack for the permission (role DashboardUserRole).",
      kind: "final",
    };
  }
  if (name === "ResourceNotFoundException") {
    return {
      title: "The table does not exist.",
      fix: "Ask whoever runs this stack to check the names in config.json.",
      kind: "final",
    };
  }
  if (name === "NoSuchKey") {
    return { title: "The file is not there any more.", fix: "Reports are kept for a year by default.", kind: "final" };
  }
  if (name === "NotReadableError" || name === "NotFoundError") {
    return {
      title: "The file cannot be read any more.",
      fix: "It was changed, moved or deleted since it was chosen: choose it again.",
      kind: "final",
    };
  }
  return { title: message || name || "Something went wrong.", fix: "Reload the page and try again.", kind: "final" };
}
