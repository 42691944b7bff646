import { inWords, type Problem } from "../aws/problem";
import type { Services } from "../aws/services";
import type { ReadOptions } from "../preview/detect";
import { type Preview, previewFile } from "../preview/preview";
import type { Schema } from "../preview/schema";
import { heldNames, hold } from "./hold";
import { metadataOf, misfitOf, optionsOf, sameOptions, uploadKey } from "./plan";
import { type Begun, fileOf, nameOf, type ResumeStore } from "./resume";
import { Transfer, type TransferStatus } from "./transfer";

/** A file that was chosen and not uploaded yet. */
export interface Draft {
  id: number;
  file: File;
  options: ReadOptions;
  /** Nothing until the file was looked at. */
  preview: Preview | undefined;
  /** The options by which it was looked at. */
  seen: ReadOptions | undefined;
  schema: Schema | undefined;
  /** Why the file could not be checked against the table. */
  schemaProblem: Problem | undefined;
  /** The upload of this file that was begun before, if there is one. */
  begun: Begun | undefined;
}

/** A file that is being uploaded, or was. */
export interface Upload {
  id: number;
  file: File;
  options: ReadOptions;
  /** Where it goes; nothing until that is known. */
  key: string | undefined;
  status: TransferStatus;
  /** Whether it goes on with what another page began. */
  resumed: boolean;
}

/** What the page shows of both. */
export interface Uploads {
  drafts: Draft[];
  uploads: Upload[];
  /** What was begun before and is not under way on this page. */
  unfinished: Begun[];
}

/** What is to be said of a chosen file. */
export type Verdict = "looking" | "under-way" | "misfit" | "fails" | "unchecked" | "rejects" | "empty" | "fits";

/** What is to be said of a chosen file, when `uploads` are there already. */
export function verdictOf({ file, options, preview, seen, schema }: Draft, uploads: Upload[]): Verdict {
  if (isUnderWay(file, options, uploads)) return "under-way";
  if (!preview || seen !== options) return "looking";
  if (misfitOf(metadataOf(options)) !== undefined) return "misfit";
  if (preview.failure) return "fails";
  if (preview.rejected > 0) return "rejects";
  if (!schema) return "unchecked";
  return preview.rows.length === 0 ? "empty" : "fits";
}

/** Whether a file is being uploaded to be read in the same way: a second time is of no use. */
function isUnderWay(file: File, options: ReadOptions, uploads: Upload[]): boolean {
  return uploads.some(
    ({ file: other, options: its, status }) =>
      other.name === file.name &&
      other.size === file.size &&
      other.lastModified === file.lastModified &&
      sameOptions(its, options) &&
      status.state !== "done" &&
      status.state !== "cancelled",
  );
}

const ELSEWHERE: Problem = {
  title: "This file is being uploaded in another tab.",
  fix: "Follow it there, or close that tab and try again.",
  kind: "final",
};
/** What a page must hold to send an upload. */
const lockOf = (name: string) => `intake.upload:${name}`;
/** Files that are uploaded at the same time. */
const AT_ONCE = 2;
const CONTENT_TYPES = {
  csv: "text/csv",
  json: "application/json",
  jsonl: "application/x-ndjson",
  "ddb-json": "application/x-ndjson",
};

/** Keeps chosen and uploading files while people look at other pages. */
export class UploadManager {
  private state: Uploads = { drafts: [], uploads: [], unfinished: [] };
  private readonly transfers = new Map<number, Transfer>();
  private readonly starters = new Map<number, () => Promise<void>>();
  private readonly waiting: (() => Promise<void>)[] = [];
  private running = 0;
  private ids = 0;
  private readonly listeners = new Set<() => void>();

  constructor(
    private readonly services: Services,
    private readonly resume: ResumeStore,
  ) {}

  /** Looks at files that were chosen. */
  choose(files: File[]): void {
    for (const file of files) {
      const draft: Draft = {
        id: ++this.ids,
        file,
        options: {},
        preview: undefined,
        seen: undefined,
        schema: undefined,
        schemaProblem: undefined,
        begun: undefined,
      };
      this.change({ drafts: [...this.state.drafts, draft] });
      void this.takeUp(draft).then(() => this.look(draft.id));
    }
  }

  /** An upload that was begun before goes on only with the options that it was begun with. */
  private async takeUp({ id, file, options }: Draft): Promise<void> {
    await this.findUnfinished();
    // Unless somebody has set some meanwhile.
    if (this.state.drafts.find((draft) => draft.id === id)?.options !== options) return;
    const begun = this.state.unfinished.find(
      (one) => one.file === file.name && one.sizeBytes === file.size && one.lastModified === file.lastModified,
    );
    if (begun) this.changeDraft(id, { begun, options: optionsOf(begun.metadata) });
  }

  /** Looks for uploads that were begun before and are not under way, here or in another tab. */
  async findUnfinished(): Promise<void> {
    try {
      const [identity, held] = await Promise.all([this.services.identityId(), heldNames()]);
      const isHeld = (begun: Begun) => held.has(lockOf(nameOf(identity, fileOf(begun), begun.metadata)));
      this.change({ unfinished: this.resume.list(identity).filter((begun) => !isHeld(begun)) });
    } catch {
      // Nothing is known of them then, and nothing is said.
    }
  }

  /** Gives up an upload that was begun before. */
  async abandon(begun: Begun): Promise<void> {
    // If that fails the bucket forgets it by itself after a week.
    await this.services
      .uploadPort(begun.key, {}, "")
      .abort(begun.uploadId)
      .catch(() => undefined);
    await this.services.identityId().then(
      (identity) => this.resume.save(identity, fileOf(begun), begun.metadata, undefined),
      () => undefined,
    );
    await this.findUnfinished();
  }

  /** Goes on with what failed because the session had ended. */
  signedIn(): void {
    for (const { id, status } of this.state.uploads) {
      if (status.state === "failed" && status.problem?.kind === "session") this.goOn(id);
    }
    for (const { id, schemaProblem } of this.state.drafts) {
      if (schemaProblem?.kind === "session") void this.look(id);
    }
  }

  /** Looks at a file again, to be read in another way. */
  setOptions(id: number, options: ReadOptions): void {
    this.changeDraft(id, { options });
    void this.look(id);
  }

  /** Forgets a chosen file. */
  drop(id: number): void {
    this.change({ drafts: this.state.drafts.filter((draft) => draft.id !== id) });
  }

  /** Uploads a chosen file. */
  send(id: number): void {
    const draft = this.state.drafts.find((one) => one.id === id);
    if (!draft || isUnderWay(draft.file, draft.options, this.state.uploads)) return;
    this.drop(id);
    this.upload(draft.file, draft.options, draft.preview);
  }

  /** Uploads the chosen files that fit. */
  sendFitting(): void {
    for (const draft of this.state.drafts) {
      if (verdictOf(draft, this.state.uploads) === "fits") this.send(draft.id);
    }
  }

  /** Uploads a file. */
  upload(file: File, options: ReadOptions, preview: Preview | undefined): void {
    const id = ++this.ids;
    const status: TransferStatus = {
      state: "waiting",
      sentBytes: 0,
      totalBytes: file.size,
      bytesPerSecond: undefined,
      parts: { done: 0, of: 1 },
      problem: undefined,
    };
    this.change({ uploads: [{ id, file, options, key: undefined, status, resumed: false }, ...this.state.uploads] });
    this.starters.set(id, async () => {
      const transfer = this.transfers.get(id) ?? (await this.prepare(id, file, options, preview));
      // It may have been cancelled while it waited.
      if (this.find(id)?.status.state === "cancelled") await transfer?.cancel();
      else await transfer?.start();
    });
    this.goOn(id);
  }

  pause(id: number): void {
    this.transfers.get(id)?.pause();
  }

  /** Goes on after a pause, or tries again after a failure. */
  goOn(id: number): void {
    const start = this.starters.get(id);
    if (start) this.enqueue(start);
  }

  cancel(id: number): void {
    const transfer = this.transfers.get(id);
    if (transfer) void transfer.cancel();
    else this.changeUpload(id, { state: "cancelled" });
  }

  /** Takes what has ended off the list. */
  clear(): void {
    const isOver = ({ status }: Upload) => status.state === "done" || status.state === "cancelled";
    for (const { id } of this.state.uploads.filter(isOver)) {
      this.transfers.delete(id);
      this.starters.delete(id);
    }
    this.change({ uploads: this.state.uploads.filter((upload) => !isOver(upload)) });
  }

  /** Stops and forgets everything: somebody leaves. What arrived in the bucket stays there. */
  giveUp(): void {
    for (const { id } of this.state.uploads) this.pause(id);
    this.change({ drafts: [], uploads: [], unfinished: [] });
  }

  /** Whether closing the page would interrupt something, or lose what was chosen. */
  isBusy(): boolean {
    const { drafts, uploads } = this.state;
    return (
      drafts.length > 0 || uploads.some(({ status }) => ["waiting", "uploading", "retrying"].includes(status.state))
    );
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): Uploads => this.state;

  private async look(id: number): Promise<void> {
    const draft = this.state.drafts.find((one) => one.id === id);
    if (!draft) return;
    const { file, options } = draft;
    let schema: Schema | undefined;
    let schemaProblem: Problem | undefined;
    try {
      schema = await this.services.schema();
    } catch (error) {
      schemaProblem = inWords(error);
    }
    const preview = await previewFile(file, options, schema).catch((error: unknown): Preview => {
      const { title, fix } = inWords(error);
      return {
        compression: "none",
        columns: [],
        rows: [],
        rejected: 0,
        whole: false,
        failure: { problem: title, fix },
      };
    });
    // Options may have changed while it was read.
    if (this.state.drafts.find((one) => one.id === id)?.options === options) {
      this.changeDraft(id, { preview, seen: options, schema, schemaProblem });
    }
  }

  private async prepare(
    id: number,
    file: File,
    options: ReadOptions,
    preview: Preview | undefined,
  ): Promise<Transfer | undefined> {
    let identity: string;
    try {
      identity = await this.services.identityId();
    } catch (error) {
      this.changeUpload(id, { state: "failed", problem: inWords(error) });
      return undefined;
    }
    const metadata = metadataOf(options);
    const letGo = await hold(lockOf(nameOf(identity, file, metadata)));
    if (!letGo) {
      this.changeUpload(id, { state: "failed", problem: ELSEWHERE });
      return undefined;
    }
    const begun = this.resume.find(identity, file, metadata);
    const random = crypto.randomUUID().slice(0, 8);
    const key = begun?.key ?? uploadKey(identity, file.name, new Date(), random);
    const contentType = preview?.format ? CONTENT_TYPES[preview.format] : file.type || "application/octet-stream";
    const transfer = new Transfer(
      file,
      this.services.uploadPort(key, metadata, contentType),
      { now: () => performance.now(), wait: waitForNetwork, random: Math.random },
      (status) => {
        this.changeUpload(id, status);
        if (status.state === "done" || status.state === "cancelled") letGo();
      },
      begun?.uploadId,
      (uploadId) => this.resume.save(identity, file, metadata, uploadId === undefined ? undefined : { uploadId, key }),
    );
    this.transfers.set(id, transfer);
    this.change({
      uploads: this.state.uploads.map((upload) =>
        upload.id === id ? { ...upload, key, resumed: begun !== undefined } : upload,
      ),
      unfinished: this.state.unfinished.filter((one) => one.key !== key),
    });
    return transfer;
  }

  private enqueue(action: () => Promise<void>): void {
    this.waiting.push(action);
    this.next();
  }

  private next(): void {
    if (this.running >= AT_ONCE) return;
    const action = this.waiting.shift();
    if (!action) return;
    this.running++;
    void action().finally(() => {
      this.running--;
      this.next();
    });
  }

  private find(id: number): Upload | undefined {
    return this.state.uploads.find((upload) => upload.id === id);
  }

  private changeDraft(id: number, changes: Partial<Draft>): void {
    this.change({ drafts: this.state.drafts.map((draft) => (draft.id === id ? { ...draft, ...changes } : draft)) });
  }

  private changeUpload(id: number, changes: Partial<TransferStatus>): void {
    this.change({
      uploads: this.state.uploads.map((upload) =>
        upload.id === id ? { ...upload, status: { ...upload.status, ...changes } } : upload,
      ),
    });
  }

  private change(changes: Partial<Uploads>): void {
    this.state = { ...this.state, ...changes };
    for (const listener of this.listeners) listener();
  }
}

/** Waits, or until the browser is online again if that comes later; ends at once when aborted. */
function waitForNetwork(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      window.removeEventListener("online", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(() => {
      if (navigator.onLine) done();
    }, milliseconds);
    window.addEventListener("online", done);
    signal.addEventListener("abort", done);
  });
}
