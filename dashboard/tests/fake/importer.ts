import { gunzipSync } from "node:zlib";
import type { ReadOptions } from "../../src/preview/detect";
import { decode } from "../../src/preview/head";
import type { AttributeValue, Item } from "../../src/preview/item";
import { previewText } from "../../src/preview/preview";
import { isReason } from "../../src/preview/reason";
import { parseTypes, type Schema } from "../../src/preview/schema";

export type Attributes = Record<string, AttributeValue>;

/** Where the fake importer reads and writes. */
export interface World {
  schema: Schema;
  bucket: string;
  objects: Map<string, Buffer>;
  items: Map<string, Attributes>;
  jobs: Map<string, Attributes>;
  tell: (subject: string, text: string, attributes: Record<string, string>) => void;
}

/** Pieces in which a file is imported: the page must see it move. */
const STEPS = 12;
const STEP_MS = 250;

/** Imports an object as the importer would, only with rules of the page itself: it makes what the page shows. */
export async function importObject(world: World, key: string, metadata: Record<string, string>): Promise<void> {
  const file = world.objects.get(key) ?? Buffer.alloc(0);
  const owner = key.split("/")[1] ?? "-";
  const now = () => new Date().toISOString();
  const name = `${now().replace(/[^0-9A-Za-z]/g, "")}-${world.jobs.size.toString(16).padStart(16, "0")}`;
  const counts = {
    rows_read: 0,
    rows_written: 0,
    rows_rejected: 0,
    rows_superseded: 0,
    consumed_wcu: 0,
    bytes_read: 0,
  };
  const job: Attributes = {
    owner: { S: owner },
    job: { S: name },
    status: { S: "RUNNING" },
    bucket: { S: world.bucket },
    key: { S: key },
    table: { S: world.schema.table },
    bytes_total: { N: String(file.length) },
    attempt: { N: "1" },
    throttles: { N: "3" },
    retries: { N: "2" },
    created_at: { S: now() },
    checkpoint: { S: "opaque" },
  };
  const save = () => {
    for (const [counter, value] of Object.entries(counts)) job[counter] = { N: String(value) };
    job.updated_at = { S: now() };
    world.jobs.set(name, {
      ...job,
      ...(world.jobs.get(name)?.cancel_requested && { cancel_requested: { BOOL: true } }),
    });
  };
  save();
  const end = (status: string) => {
    job.status = { S: status };
    job.ended_at = { S: now() };
    save();
    const text = `s3://${world.bucket}/${key}\n\nStatus      ${status}\nRows read   ${counts.rows_read}`;
    world.tell(`Import finished: ${key.split("/").at(-1)}`, text, { kind: "import", status });
  };

  const bytes = file[0] === 0x1f && file[1] === 0x8b ? gunzipSync(file) : file;
  // Larger files are only there to be uploaded.
  const head = decode(bytes.subarray(0, 40 * 1024 * 1024), true, metadata["intake-encoding"]);
  const preview = previewText(
    { compression: "none", ...head },
    optionsOf(metadata),
    world.schema,
    Number.MAX_SAFE_INTEGER,
  );
  const rejects: string[] = [];
  const names: string[] = [];
  const size = Math.max(1, Math.ceil(preview.rows.length / STEPS));
  for (let start = 0; start < preview.rows.length; start += size) {
    await new Promise((resolve) => setTimeout(resolve, STEP_MS));
    if (world.jobs.get(name)?.cancel_requested) {
      job.reason = { S: "the import was cancelled" };
      end("CANCELLED");
      return;
    }
    for (const row of preview.rows.slice(start, start + size)) {
      counts.rows_read++;
      if (isReason(row.outcome)) {
        counts.rows_rejected++;
        const { code: reason, message } = row.outcome;
        const text = Buffer.from(row.text);
        rejects.push(
          JSON.stringify({
            byte: head.text.indexOf(row.text),
            line: row.line,
            record: row.record,
            reason,
            message,
            row: text.subarray(0, 4096).toString(),
            row_truncated: text.length > 4096,
          }),
        );
      } else {
        counts.rows_written++;
        counts.consumed_wcu++;
        world.items.set(keyOf(row.outcome, world.schema), Object.fromEntries(row.outcome));
        if (names.length < 10) names.push(nameOf(row.outcome, world.schema));
      }
    }
    counts.bytes_read = Math.min(file.length, Math.round((file.length * (start + size)) / preview.rows.length));
    save();
  }
  const prefix = `reports/${owner}/${name}/`;
  world.objects.set(`${prefix}summary.json`, Buffer.from(JSON.stringify({ format: preview.format, ...counts })));
  job.summary = { S: `s3://${world.bucket}/${prefix}summary.json` };
  if (rejects.length > 0) {
    world.objects.set(`${prefix}rejects.jsonl`, Buffer.from(`${rejects.join("\n")}\n`));
    job.rejects = { S: `s3://${world.bucket}/${prefix}rejects.jsonl` };
  }
  if (names.length > 0) {
    const more = counts.rows_written - names.length;
    const text =
      counts.rows_written === 1
        ? `New product added: ${names[0]}`
        : `${counts.rows_written} products added: ${names.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
    world.tell("Inventory Update", text, { kind: "INSERT" });
  }
  if (preview.failure) {
    job.reason = { S: preview.failure.problem };
    job.fix = { S: preview.failure.fix };
  }
  end(preview.failure ? "FAILED" : rejects.length > 0 ? "COMPLETED_WITH_REJECTS" : "COMPLETED");
}

function optionsOf(metadata: Record<string, string>): ReadOptions {
  const types = parseTypes(metadata["intake-types"] ?? "");
  return {
    format: metadata["intake-format"] as ReadOptions["format"],
    delimiter: metadata["intake-delimiter"] === "tab" ? "\t" : metadata["intake-delimiter"],
    rowsAt: metadata["intake-rows-at"],
    types: typeof types === "string" ? undefined : types,
  };
}

export function keyOf(item: Item, schema: Schema): string {
  return JSON.stringify(schema.key.map(({ name }) => item.get(name)));
}

function nameOf(item: Item, schema: Schema): string {
  const value = item.get("name") ?? item.get(schema.key[0]?.name ?? "");
  return value && "S" in value ? value.S : "";
}
