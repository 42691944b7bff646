/** An upload in parts that was begun, so that it can go on after a reload or on another day. */
export interface Begun {
  uploadId: string;
  key: string;
  /** Milliseconds since 1970. */
  at: number;
}

/** The bucket forgets parts after a week; a day less leaves time to finish. */
const KEPT_MS = 6 * 24 * 3_600_000;
/** What the storage is asked by. */
export const RESUME_NAME = "intake.uploads";

/** Which uploads were begun, by file. Only names and ids: the file itself must be chosen again. */
export class ResumeStore {
  constructor(
    private readonly storage: Pick<Storage, "getItem" | "setItem">,
    private readonly now: () => number = Date.now,
  ) {}

  /** What was begun for a file, if the same identity chose it unchanged. */
  find(identity: string, file: Pick<File, "name" | "size" | "lastModified">): Begun | undefined {
    return this.read()[nameOf(identity, file)];
  }

  save(
    identity: string,
    file: Pick<File, "name" | "size" | "lastModified">,
    begun: Omit<Begun, "at"> | undefined,
  ): void {
    const all = this.read();
    const name = nameOf(identity, file);
    if (begun) all[name] = { ...begun, at: this.now() };
    else delete all[name];
    try {
      this.storage.setItem(RESUME_NAME, JSON.stringify(all));
    } catch {
      // Full, or not allowed: the upload goes on, it only cannot be resumed by another page.
    }
  }

  private read(): Record<string, Begun> {
    try {
      const all = Object.entries(JSON.parse(this.storage.getItem(RESUME_NAME) ?? "{}") as Record<string, Begun>);
      return Object.fromEntries(all.filter(([, begun]) => this.now() - begun.at < KEPT_MS));
    } catch {
      return {};
    }
  }
}

function nameOf(identity: string, file: Pick<File, "name" | "size" | "lastModified">): string {
  return JSON.stringify([identity, file.name, file.size, file.lastModified]);
}
