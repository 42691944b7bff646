/** What went wrong, in words for the person at the page. */
export interface Problem {
  title: string;
  /** What to do about it. */
  fix: string;
  /** `session`: sign in again; `transient`: the same may work later; `page`: reload the page; `final`: it will not. */
  kind: "session" | "transient" | "page" | "final";
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

/** What browsers say when a part of the page's own code does not come, and when a request breaks. */
const NO_CODE = /dynamically imported module|importing a module script|unable to preload css/i;
const NO_NETWORK = /fetch|network|load failed|connection/i;

/** Puts an error into words. */
export function inWords(error: unknown): Problem {
  const { name = "", message = "", $metadata } = (error ?? {}) as ServiceError;
  const status = $metadata?.httpStatusCode;
  if (name === "SessionEnded" || isExpired(error)) {
    return { title: "Your session has ended.", fix: "Sign in again.", kind: "session" };
  }
  if (NO_CODE.test(message) && globalThis.navigator?.onLine !== false) {
    return {
      title: "A part of this page cannot be loaded.",
      fix: "Check your network connection and try again. If the page was updated since you opened it, reload it.",
      kind: "page",
    };
  }
  // Browsers do not tell why a request failed: fetch gives a TypeError of some text.
  const broke = (name === "TypeError" && NO_NETWORK.test(message)) || NO_CODE.test(message);
  if (broke || TRANSIENT.has(name) || status === 0 || (status ?? 0) >= 500 || status === 429) {
    return {
      title: broke || name === "NetworkError" || status === 0 ? "AWS cannot be reached." : message || name,
      fix: "Check your network connection.",
      kind: "transient",
    };
  }
  if (name === "AccessDenied" || name === "AccessDeniedException") {
    return {
      title: "You are not allowed to do this.",
      fix: "Ask the people who run this stack for the permission (role DashboardUserRole).",
      kind: "final",
    };
  }
  if (name === "SignatureDoesNotMatch" || name === "RequestTimeTooSkewed") {
    return {
      title: "AWS did not accept the request's signature.",
      fix: "Check this computer's clock, then reload the page.",
      kind: "page",
    };
  }
  if (name === "ResourceNotFoundException") {
    return {
      title: "The table does not exist.",
      fix: "Ask the people who run this stack to check the names in config.json.",
      kind: "final",
    };
  }
  if (name === "PreconditionFailed") {
    return { title: "The file was replaced.", fix: "Choose the newest one.", kind: "final" };
  }
  if (name === "NoSuchKey" || name === "MissingOrDenied") {
    return {
      title:
        name === "NoSuchKey" ? "The file is not there any more." : "The file is not there, or you may not read it.",
      fix: "Files and reports are deleted after a time.",
      kind: "final",
    };
  }
  if (name === "NotReadableError" || name === "NotFoundError") {
    return {
      title: "The file cannot be read any more.",
      fix: "It was changed, moved or deleted since it was chosen: choose it again.",
      kind: "final",
    };
  }
  return { title: message || name || "Something went wrong.", fix: "Reload the page and try again.", kind: "page" };
}
