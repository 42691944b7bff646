/** An upload in parts that was begun, so that it can go on after a reload or on another day. */
export interface Begun {
  /** The file's name. */
  file: string;
  sizeBytes: number;
  lastModified: number;
  /** How the file is to be read: the object's metadata, which an upload gets when it begins. */
  metadata: Record<string, string>;
  uploadId: string;
  key: string;
  /** Milliseconds since 1970. */
  at: number;
}

/** What a file is known by; the file itself must be chosen again. */
type FileName = Pick<File, "name" | "size" | "lastModified">;

/** The bucket forgets parts after a week; a day less leaves time to finish. */
const KEPT_MS = 6 * 24 * 3_600_000;
/** What the storage is asked by. */
export const RESUME_NAME = "intake.uploads";

/** Which uploads were begun, by whom, of which file, and to be read how. Only names and ids. */
export class ResumeStore {
  constructor(
    private readonly storage: Pick<Storage, "getItem" | "setItem">,
    private readonly now: () => number = Date.now,
  ) {}

  /** What an identity has begun, the newest first. */
  list(identity: string): Begun[] {
    const mine = Object.entries(this.read()).filter(([name]) => ownerOf(name) === identity);
    return mine.map(([, begun]) => begun).sort((a, b) => b.at - a.at);
  }

  /** What was begun for a file, if the same identity chose it unchanged, to be read in the same way. */
  find(identity: string, file: FileName, metadata: Record<string, string>): Begun | undefined {
    return this.read()[nameOf(identity, file, metadata)];
  }

  save(
    identity: string,
    file: FileName,
    metadata: Record<string, string>,
    begun: Pick<Begun, "uploadId" | "key"> | undefined,
  ): void {
    const all = this.read();
    const name = nameOf(identity, file, metadata);
    const { name: fileName, size: sizeBytes, lastModified } = file;
    if (begun) all[name] = { file: fileName, sizeBytes, lastModified, metadata, ...begun, at: this.now() };
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
      // Earlier versions did not keep how a file is to be read.
      return Object.fromEntries(all.filter(([, begun]) => begun.metadata && this.now() - begun.at < KEPT_MS));
    } catch {
      return {};
    }
  }
}

/** What the file of an upload is known by. */
export function fileOf({ file: name, sizeBytes: size, lastModified }: Begun): FileName {
  return { name, size, lastModified };
}

/** What an upload is known by. */
export function nameOf(identity: string, file: FileName, metadata: Record<string, string>): string {
  return JSON.stringify([identity, file.name, file.size, file.lastModified, Object.entries(metadata).sort()]);
}

function ownerOf(name: string): unknown {
  return (JSON.parse(name) as unknown[])[0];
}
