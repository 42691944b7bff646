import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import type { S3Client } from "@aws-sdk/client-s3";
import type { Config } from "../config";
import type { Value } from "../items/attribute";
import { JOB_ATTRIBUTES, type Job, parseJob } from "../jobs/job";
import { type Schema, schemaOf } from "../preview/schema";
import type { Session } from "../session/session";
import type { UploadPort } from "../upload/transfer";
import { isExpired } from "./problem";
import { progressHandler } from "./xhr";

/** Items of the table, as far as they were read. */
export interface Page {
  items: Record<string, Value>[];
  /** Where to go on; nothing at the end. */
  next: Record<string, unknown> | undefined;
}

/** Jobs, newest first. */
export interface JobsPage {
  jobs: Job[];
  next: Record<string, unknown> | undefined;
}

/**
 * What is one's own may be read, but not listed: S3 then says of what is not there that access is denied.
 *
 * <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>
 */
function asMissing(error: unknown): unknown {
  return (error as Error).name === "AccessDenied" ? Object.assign(new Error(), { name: "MissingOrDenied" }) : error;
}

type Dynamo = typeof import("./dynamodb");
type S3 = typeof import("./s3");

/** All that the page asks of AWS, with the credentials of who signed in. The SDK is loaded when it is needed. */
export class Services {
  private dynamoClient: DynamoDBClient | undefined;
  private s3Client: S3Client | undefined;
  private schemaKnown: Promise<Schema> | undefined;

  constructor(
    readonly config: Config,
    private readonly session: Session,
  ) {}

  /** The identity that owns what this person uploads. */
  async identityId(): Promise<string> {
    const credentials = await this.fresh(() => this.session.identity.credentials());
    return credentials.identityId;
  }

  /** The table's keys. */
  schema(): Promise<Schema> {
    this.schemaKnown ??= this.describe().catch((error: unknown) => {
      this.schemaKnown = undefined;
      throw error;
    });
    return this.schemaKnown;
  }

  /** Reads the keys again: somebody waits for the number of items. */
  describe(): Promise<Schema> {
    return this.dynamo(async (sdk, client) => {
      const { Table } = await client.send(new sdk.DescribeTableCommand({ TableName: this.config.table }));
      return schemaOf((Table ?? {}) as Parameters<typeof schemaOf>[0]);
    });
  }

  /** Some items of the table, in no order that means anything. */
  scan(limit: number, from: Page["next"]): Promise<Page> {
    return this.dynamo(async (sdk, client) => {
      const found = await client.send(
        new sdk.ScanCommand({
          TableName: this.config.table,
          Limit: limit,
          ...(from && { ExclusiveStartKey: from as never }),
        }),
      );
      return { items: (found.Items ?? []) as unknown as Page["items"], next: found.LastEvaluatedKey };
    });
  }

  /** Items by key: one, or all of a partition if there is a sort key that is not given. */
  lookUp(key: { name: string; value: Value }[], limit: number, from: Page["next"]): Promise<Page> {
    return this.dynamo(async (sdk, client) => {
      const found = await client.send(
        new sdk.QueryCommand({
          TableName: this.config.table,
          KeyConditionExpression: key.map((_, index) => `#k${index} = :k${index}`).join(" AND "),
          ExpressionAttributeNames: Object.fromEntries(key.map(({ name }, index) => [`#k${index}`, name])),
          ExpressionAttributeValues: Object.fromEntries(key.map(({ value }, index) => [`:k${index}`, value])) as never,
          ConsistentRead: true,
          Limit: limit,
          ...(from && { ExclusiveStartKey: from as never }),
        }),
      );
      return { items: (found.Items ?? []) as unknown as Page["items"], next: found.LastEvaluatedKey };
    });
  }

  /** This person's jobs, newest first. */
  async jobs(limit: number, from?: JobsPage["next"]): Promise<JobsPage> {
    const owner = await this.identityId();
    return this.dynamo(async (sdk, client) => {
      const names = ["owner", ...JOB_ATTRIBUTES.filter((name) => name !== "owner")];
      const found = await client.send(
        new sdk.QueryCommand({
          TableName: this.config.jobsTable,
          KeyConditionExpression: "#owner = :owner",
          ProjectionExpression: names.map((name) => `#${name}`).join(", "),
          ExpressionAttributeNames: Object.fromEntries(names.map((name) => [`#${name}`, name])),
          ExpressionAttributeValues: { ":owner": { S: owner } },
          ScanIndexForward: false,
          Limit: limit,
          ...(from && { ExclusiveStartKey: from as never }),
        }),
      );
      const jobs = (found.Items ?? []).map(parseJob).filter((job) => job !== undefined);
      return { jobs, next: found.LastEvaluatedKey };
    });
  }

  /** One of this person's jobs; `null` if there is none of that name. */
  async job(name: string): Promise<Job | null> {
    const owner = await this.identityId();
    return this.dynamo(async (sdk, client) => {
      const { Item } = await client.send(
        new sdk.GetItemCommand({
          TableName: this.config.jobsTable,
          Key: { owner: { S: owner }, job: { S: name } },
          ConsistentRead: true,
          ProjectionExpression: JOB_ATTRIBUTES.map((attribute) => `#${attribute}`).join(", "),
          ExpressionAttributeNames: Object.fromEntries(JOB_ATTRIBUTES.map((attribute) => [`#${attribute}`, attribute])),
        }),
      );
      return (Item && parseJob(Item)) ?? null;
    });
  }

  /**
   * Asks the importer to stop at its next checkpoint.
   *
   * The role may touch no other attribute: the condition may only ask whether there is such a job, and the answer must
   * not hold the item.
   */
  async cancel(name: string): Promise<void> {
    const owner = await this.identityId();
    await this.dynamo((sdk, client) =>
      client.send(
        new sdk.UpdateItemCommand({
          TableName: this.config.jobsTable,
          Key: { owner: { S: owner }, job: { S: name } },
          UpdateExpression: "SET #cancel = :true",
          ConditionExpression: "attribute_exists(#job)",
          ExpressionAttributeNames: { "#cancel": "cancel_requested", "#job": "job" },
          ExpressionAttributeValues: { ":true": { BOOL: true } },
          ReturnValues: "NONE",
        }),
      ),
    );
  }

  /**
   * A piece of one's own upload or report from `start` on; less than `bytes` at its end. With `etag` only of the object
   * that has it.
   */
  read(key: string, start: number, bytes: number, etag?: string): Promise<Uint8Array> {
    return this.s3(async (sdk, client) => {
      try {
        const found = await client.send(
          new sdk.GetObjectCommand({
            Bucket: this.config.bucket,
            Key: key,
            Range: `bytes=${start}-${start + bytes - 1}`,
            ...(etag !== undefined && { IfMatch: etag }),
          }),
        );
        return (await found.Body?.transformToByteArray()) ?? new Uint8Array();
      } catch (error) {
        // The piece before was the last, and full.
        if ((error as Error).name === "InvalidRange") return new Uint8Array();
        throw asMissing(error);
      }
    });
  }

  /** A whole report. */
  wholeReport(key: string): Promise<Uint8Array> {
    return this.s3(async (sdk, client) => {
      const reading = client.send(new sdk.GetObjectCommand({ Bucket: this.config.bucket, Key: key }));
      const found = await reading.catch((error: unknown) => {
        throw asMissing(error);
      });
      return (await found.Body?.transformToByteArray()) ?? new Uint8Array();
    });
  }

  /** S3 for the upload of one file. */
  uploadPort(key: string, metadata: Record<string, string>, contentType: string): UploadPort {
    const target = { Bucket: this.config.bucket, Key: key };
    const described = { ...target, Metadata: metadata, ContentType: contentType };
    return {
      put: async (body, onSent, signal) => {
        await this.send(onSent, async (sdk, client) => {
          await client.send(new sdk.PutObjectCommand({ ...described, Body: body }), { abortSignal: signal });
        });
      },
      create: (signal) =>
        this.s3(async (sdk, client) => {
          const created = await client.send(new sdk.CreateMultipartUploadCommand(described), { abortSignal: signal });
          return created.UploadId ?? "";
        }),
      part: (id, number, body, onSent, signal) =>
        this.send(onSent, async (sdk, client) => {
          const sent = await client.send(
            new sdk.UploadPartCommand({ ...target, UploadId: id, PartNumber: number, Body: body }),
            { abortSignal: signal },
          );
          if (!sent.ETag) throw new Error("The bucket's CORS rules do not expose ETag.");
          return sent.ETag;
        }),
      list: (id, signal) =>
        this.s3(async (sdk, client) => {
          const parts: { number: number; bytes: number; etag: string }[] = [];
          let after: string | undefined;
          do {
            const found = await client.send(
              new sdk.ListPartsCommand({ ...target, UploadId: id, ...(after && { PartNumberMarker: after }) }),
              { abortSignal: signal },
            );
            for (const part of found.Parts ?? []) {
              parts.push({ number: part.PartNumber ?? 0, bytes: part.Size ?? 0, etag: part.ETag ?? "" });
            }
            after = found.IsTruncated ? found.NextPartNumberMarker : undefined;
          } while (after);
          return parts;
        }),
      complete: async (id, parts, signal) => {
        await this.s3((sdk, client) =>
          client.send(
            new sdk.CompleteMultipartUploadCommand({
              ...target,
              UploadId: id,
              MultipartUpload: { Parts: parts.map(({ number, etag }) => ({ PartNumber: number, ETag: etag })) },
            }),
            { abortSignal: signal },
          ),
        );
      },
      abort: async (id) => {
        await this.s3((sdk, client) => client.send(new sdk.AbortMultipartUploadCommand({ ...target, UploadId: id })));
      },
    };
  }

  /** Does something that may find the credentials expired: then once more with new ones. */
  private async fresh<T>(action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      if (!isExpired(error)) throw error;
      this.dynamoClient = undefined;
      this.s3Client = undefined;
      await this.session.renew();
      return action();
    }
  }

  private dynamo<T>(action: (sdk: Dynamo, client: DynamoDBClient) => Promise<T>): Promise<T> {
    return this.fresh(async () => {
      const sdk = await import("./dynamodb");
      const { region, endpoints } = this.config;
      this.dynamoClient ??= new sdk.DynamoDBClient({
        region,
        credentials: () => this.session.identity.credentials(),
        ...(endpoints.dynamodb === undefined ? {} : { endpoint: endpoints.dynamodb }),
      });
      return action(sdk, this.dynamoClient);
    });
  }

  private s3<T>(action: (sdk: S3, client: S3Client) => Promise<T>): Promise<T> {
    return this.fresh(async () => {
      const sdk = await import("./s3");
      // Without the browser's cache: it would ask for what it lacks of a range, with a header other than the one signed.
      this.s3Client ??= new sdk.S3Client({ ...this.s3Settings(), requestHandler: { cache: "no-store" } });
      return action(sdk, this.s3Client);
    });
  }

  /** The same for a request whose progress is of interest. */
  private send<T>(onSent: (bytes: number) => void, action: (sdk: S3, client: S3Client) => Promise<T>): Promise<T> {
    return this.fresh(async () => {
      const sdk = await import("./s3");
      // A client of its own: how much was sent is told by the handler, which belongs to the client.
      const client = new sdk.S3Client({ ...this.s3Settings(), requestHandler: progressHandler(onSent) });
      return action(sdk, client);
    });
  }

  private s3Settings() {
    const { region, endpoints } = this.config;
    return {
      region,
      credentials: () => this.session.identity.credentials(),
      // Transfers try again by themselves, as long as it takes.
      maxAttempts: 1,
      // SigV4 signs the SHA-256 of each body, which S3 checks: nothing is gained by a second checksum, which would have
      // to be sent again with the list of parts.
      requestChecksumCalculation: "WHEN_REQUIRED" as const,
      responseChecksumValidation: "WHEN_REQUIRED" as const,
      ...(endpoints.s3 === undefined ? {} : { endpoint: endpoints.s3, forcePathStyle: true }),
    };
  }
}
