import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import type { Schema } from "../../src/preview/schema";
import { Cognito } from "./cognito";
import { DynamoDb } from "./dynamodb";
import { type Answer, Listener, type Request } from "./http";
import { importObject } from "./importer";
import { S3 } from "./s3";

const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};

/**
 * Stands in for the local stack where only the page itself is tested: serves the built page as CloudFront would, with the
 * same headers, and answers as AWS does as far as the page asks.
 */
export class Fake {
  readonly messages: object[] = [];
  readonly cognito = new Cognito((to, subject, text) => this.told({ from: "email", to, subject, text }));
  readonly s3: S3;
  readonly dynamodb: DynamoDb;
  readonly schema: Schema = {
    table: "InventoryTable",
    key: [{ name: "productId", type: "S", limitBytes: 2048 }],
    indexKeys: [],
  };
  private readonly listeners: Record<"page" | "cognito" | "s3" | "dynamodb", Listener>;

  constructor(private readonly folder: string) {
    const identityOf = (request: Request) => {
      const access = /Credential=([^/]+)/.exec(String(request.headers.authorization))?.[1] ?? "";
      const known = this.cognito.keys.get(access);
      return known && known.token === request.headers["x-amz-security-token"] ? known.identity : undefined;
    };
    this.dynamodb = new DynamoDb(this.schema, "ImportJobs", identityOf);
    this.s3 = new S3("inventory-upload-local", identityOf, (key, metadata) => {
      const { items, jobs } = this.dynamodb;
      const tell = (subject: string, text: string, attributes: Record<string, string>) =>
        this.told({ from: "inventory-alerts", subject, text, attributes });
      void importObject(
        { schema: this.schema, bucket: this.s3.bucket, objects: this.s3.objects, items, jobs, tell },
        key,
        metadata,
      );
    });
    const cors = () => this.listeners.page.url;
    this.listeners = {
      page: new Listener(
        (request) => this.page(request),
        () => undefined,
      ),
      cognito: new Listener((request) => this.cognito.handle(request), cors),
      s3: new Listener((request) => this.s3.handle(request), cors),
      dynamodb: new Listener((request) => this.dynamodb.handle(request), cors),
    };
  }

  async start(): Promise<this> {
    await Promise.all(Object.values(this.listeners).map((listener) => listener.listen()));
    this.cognito.issuer = `${this.listeners.cognito.url}/${this.cognito.poolId}`;
    return this;
  }

  async stop(): Promise<void> {
    await Promise.all(Object.values(this.listeners).map((listener) => listener.close()));
  }

  get url(): string {
    return this.listeners.page.url;
  }

  private told(message: object): void {
    this.messages.push({ id: randomUUID(), time: new Date().toISOString(), ...message });
  }

  private config(): object {
    const { cognito, s3, dynamodb } = this.listeners;
    return {
      region: "us-east-1",
      userPoolId: this.cognito.poolId,
      userPoolClientId: this.cognito.clientId,
      identityPoolId: this.cognito.identityPoolId,
      signInUrl: cognito.url,
      bucket: this.s3.bucket,
      table: this.schema.table,
      jobsTable: this.dynamodb.jobsTable,
      topic: "inventory-alerts",
      issuer: this.cognito.issuer,
      endpoints: { s3: s3.url, dynamodb: dynamodb.url, cognitoIdentity: cognito.url },
      inboxUrl: "/inbox.json",
    };
  }

  private async page({ url }: Request): Promise<Answer> {
    const json = (body: object) => ({
      headers: { ...this.headers(), "content-type": "application/json", "cache-control": "no-cache" },
      body: JSON.stringify(body),
    });
    if (url.pathname === "/config.json") return json(this.config());
    if (url.pathname === "/inbox.json") return json({ messages: this.messages });
    const path = url.pathname.includes("..") ? "/" : decodeURIComponent(url.pathname);
    const file = extname(path) in TYPES ? path : "/index.html";
    try {
      const body = await readFile(join(this.folder, file));
      return { headers: { ...this.headers(), "content-type": TYPES[extname(file)] ?? "" }, body };
    } catch {
      return { status: 404 };
    }
  }

  /** Those of DashboardHeaders in sam/template.yaml, without what is for HTTPS only. */
  private headers(): Record<string, string> {
    const { cognito, s3, dynamodb } = this.listeners;
    return {
      "content-security-policy": [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self'",
        `connect-src 'self' ${s3.url} ${dynamodb.url} ${cognito.url}`,
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
      ].join("; "),
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
      "referrer-policy": "no-referrer",
      "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
      "cross-origin-opener-policy": "same-origin",
    };
  }
}
