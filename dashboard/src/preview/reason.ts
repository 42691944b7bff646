/** Why a row would be rejected: the name that `rejects.jsonl` has for it, and words. */
export interface Reason {
  code: string;
  message: string;
}

/** Why a whole file would fail, and what to do about it. */
export interface Unusable {
  problem: string;
  fix: string;
}

/** A {@link Reason}. */
export function problem(code: string, message: string): Reason {
  return { code, message };
}

/** Whether a check gave a reason rather than a value. */
export function isReason(value: object): value is Reason {
  return "code" in value && "message" in value;
}
