/** A path of this page; nothing else may be gone to after signing in. */
export function safePath(state: unknown): string {
  return typeof state === "string" && /^\/(?![/\\])[^\\]*$/.test(state) ? state : "/";
}
