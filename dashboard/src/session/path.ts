/** A path of this page; nothing else may be gone to after signing in. */
export function safePath(state: unknown): string {
  return typeof state === "string" && /^\/(?![/\\])[^\\]*$/.test(state) ? state : "/";
}

/** A part of an address as text; as it stands there if it is malformed. */
export function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
