/** Where a job is on its way. */
export type Status =
  | "QUEUED"
  | "RUNNING"
  | "COMPLETED"
  | "COMPLETED_WITH_REJECTS"
  | "FAILED"
  | "CANCELLED"
  | "SUPERSEDED";

/** An import job, as the table of jobs has it. */
export interface Job {
  owner: string;
  job: string;
  status: Status;
  bucket: string;
  key: string;
  /** The file's own name. */
  file: string;
  table: string;
  format?: string;
  compression?: string;
  bytesTotal?: number;
  bytesRead: number;
  rowsRead: number;
  rowsWritten: number;
  rowsSuperseded: number;
  rowsRejected: number;
  consumedWcu: number;
  throttles: number;
  retries: number;
  durationSeconds: number;
  attempt: number;
  /** Milliseconds since 1970, as all times here. */
  createdAt: number;
  updatedAt: number;
  endedAt?: number;
  /** What went wrong, as the importer names it. */
  code?: string;
  /** The same in the importer's words. */
  reason?: string;
  fix?: string;
  /** Which object it is. */
  etag?: string;
  /** How the file was to be read: values of its metadata by name; nothing if that is not known. */
  options?: Record<string, string>;
  /** Where the report of rejected rows is: its key in the bucket. */
  rejectsKey?: string;
  cancelRequested: boolean;
}

/** Attributes that {@link parseJob} reads: all but the importer's own checkpoint, which may be long. */
export const JOB_ATTRIBUTES = [
  ...["owner", "job", "status", "bucket", "key", "table", "format", "compression", "bytes_total", "bytes_read"],
  ...["rows_read", "rows_written", "rows_superseded", "rows_rejected", "consumed_wcu", "throttles", "retries"],
  ...["duration_seconds", "attempt", "created_at", "updated_at", "ended_at", "code", "reason", "fix", "rejects"],
  ...["cancel_requested", "etag", "options"],
];

interface Attribute {
  S?: string | undefined;
  N?: string | undefined;
  BOOL?: boolean | undefined;
  M?: Record<string, Attribute> | undefined;
}
type Attributes = Record<string, Attribute | undefined>;

/** Reads a job from its item; nothing if it is none, such as one that only has `cancel_requested`. */
export function parseJob(item: Record<string, unknown>): Job | undefined {
  const attributes = item as Attributes;
  const text = (name: string) => attributes[name]?.S;
  const number = (name: string) => Number(attributes[name]?.N ?? 0);
  const time = (name: string) => {
    const milliseconds = Date.parse(text(name) ?? "");
    return Number.isNaN(milliseconds) ? undefined : milliseconds;
  };
  const [owner, name, status, key] = [text("owner"), text("job"), text("status"), text("key")];
  const createdAt = time("created_at");
  if (!owner || !name || !status || key === undefined || createdAt === undefined) return undefined;
  const optional = {
    format: text("format"),
    compression: text("compression"),
    bytesTotal: attributes.bytes_total?.N === undefined ? undefined : number("bytes_total"),
    endedAt: time("ended_at"),
    code: text("code"),
    reason: text("reason"),
    fix: text("fix"),
    rejectsKey: keyOf(text("rejects")),
    etag: text("etag"),
    options: textsOf(attributes.options?.M),
  };
  return {
    owner,
    job: name,
    status: status as Status,
    bucket: text("bucket") ?? "",
    key,
    file: fileName(key),
    table: text("table") ?? "",
    bytesRead: number("bytes_read"),
    rowsRead: number("rows_read"),
    rowsWritten: number("rows_written"),
    rowsSuperseded: number("rows_superseded"),
    rowsRejected: number("rows_rejected"),
    consumedWcu: number("consumed_wcu"),
    throttles: number("throttles"),
    retries: number("retries"),
    durationSeconds: number("duration_seconds"),
    attempt: number("attempt"),
    createdAt,
    updatedAt: time("updated_at") ?? createdAt,
    cancelRequested: attributes.cancel_requested?.BOOL ?? false,
    ...(Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)) as Partial<Job>),
  };
}

function textsOf(map: Record<string, Attribute> | undefined): Record<string, string> | undefined {
  return map && Object.fromEntries(Object.entries(map).map(([name, value]) => [name, value.S ?? ""]));
}

/** The address of a job's page. */
export function importPath(job: Pick<Job, "job">): string {
  return `/imports/${encodeURIComponent(job.job)}`;
}

/** The last part of an object's key. */
export function fileName(key: string): string {
  return key.slice(key.lastIndexOf("/") + 1);
}

function keyOf(url: string | undefined): string | undefined {
  return /^s3:\/\/[^/]+\/(.+)$/s.exec(url ?? "")?.[1];
}

/** Whether nothing more will happen. */
export function isEnded(job: Job): boolean {
  return job.status !== "QUEUED" && job.status !== "RUNNING";
}

/** How long it took, or takes so far. Ends are known to the second, which is more than small files take. */
export function tookSeconds(job: Job): number {
  return Math.max(((job.endedAt ?? job.updatedAt) - job.createdAt) / 1000, job.durationSeconds);
}

/** How much of the file was read, from 0 to 1; nothing if it is not being read, or its size is not known yet. */
export function progressOf(job: Job): number | undefined {
  return !isEnded(job) && job.bytesTotal ? Math.min(1, job.bytesRead / job.bytesTotal) : undefined;
}
