/**
 * Takes a name that only one page of this browser may have at a time, and gives how to let go of it; nothing if another
 * page has it. A page that is closed has none.
 */
export function hold(name: string): Promise<(() => void) | undefined> {
  return new Promise((resolve) => {
    void navigator.locks.request(name, { ifAvailable: true }, (lock) => {
      if (lock) return new Promise<void>((letGo) => resolve(letGo));
      resolve(undefined);
      return undefined;
    });
  });
}

/** The names that pages of this browser have, this one included. */
export async function heldNames(): Promise<Set<string>> {
  const { held = [] } = await navigator.locks.query();
  return new Set(held.map(({ name }) => name ?? ""));
}
