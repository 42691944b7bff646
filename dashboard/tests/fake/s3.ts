import { createHash, randomUUID } from "node:crypto";
import type { Answer, Request } from "./http";

/** S3 with the permissions of DashboardUserRole; signatures are not checked. */
export class S3 {
  readonly objects = new Map<string, Buffer>();
  private readonly uploads = new Map<
    string,
    { key: string; headers: Request["headers"]; parts: Map<number, Buffer> }
  >();

  constructor(
    readonly bucket: string,
    private readonly identityOf: (request: Request) => string | undefined,
    private readonly created: (key: string, metadata: Record<string, string>) => void,
  ) {}

  handle(request: Request): Answer {
    const { method, url } = request;
    const identity = this.identityOf(request);
    if (identity === undefined) return error(403, "ExpiredToken", "The provided token has expired.");
    const [, bucket, ...rest] = url.pathname.split("/");
    const key = rest.map(decodeURIComponent).join("/");
    if (bucket !== this.bucket) return error(404, "NoSuchBucket", "The specified bucket does not exist");
    const query = url.searchParams;
    const mine = method === "GET" && !query.has("uploadId") ? `reports/${identity}/` : `uploads/${identity}/`;
    if (!key.startsWith(mine)) return error(403, "AccessDenied", "Access Denied");
    if (method === "GET" && !query.has("uploadId")) return this.get(key, String(request.headers.range ?? ""));
    if (method === "POST" && query.has("uploads")) {
      const id = randomUUID();
      this.uploads.set(id, { key, headers: request.headers, parts: new Map() });
      return xml(200, `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`);
    }
    if (!query.has("uploadId")) {
      this.put(key, request.body, request.headers);
      return { headers: { etag: etag(request.body) } };
    }
    const id = query.get("uploadId") ?? "";
    const upload = this.uploads.get(id);
    if (!upload || upload.key !== key) return error(404, "NoSuchUpload", "The specified upload does not exist.");
    switch (method) {
      case "PUT":
        upload.parts.set(Number(query.get("partNumber")), request.body);
        return { headers: { etag: etag(request.body) } };
      case "DELETE":
        this.uploads.delete(id);
        return { status: 204 };
      case "GET":
        return xml(200, `<ListPartsResult><IsTruncated>false</IsTruncated>${partsXml(upload.parts)}</ListPartsResult>`);
      default: {
        const numbers = [...request.body.toString().matchAll(/<PartNumber>(\d+)</g)].map((match) => Number(match[1]));
        const body = Buffer.concat(numbers.map((number) => upload.parts.get(number) ?? Buffer.alloc(0)));
        this.uploads.delete(id);
        this.put(key, body, upload.headers);
        return xml(200, "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>");
      }
    }
  }

  private put(key: string, body: Buffer, headers: Request["headers"]): void {
    this.objects.set(key, body);
    const metadata = Object.entries(headers)
      .filter(([name]) => name.startsWith("x-amz-meta-"))
      .map(([name, value]) => [name.slice("x-amz-meta-".length), String(value)]);
    this.created(key, Object.fromEntries(metadata));
  }

  private get(key: string, range: string): Answer {
    const object = this.objects.get(key);
    if (!object) return error(404, "NoSuchKey", "The specified key does not exist.");
    const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(range) ?? [];
    if (start === undefined) return { body: object };
    if (Number(start) >= object.length) return error(416, "InvalidRange", "The requested range is not satisfiable");
    const body = object.subarray(Number(start), Number(end) + 1);
    const last = Number(start) + body.length - 1;
    return { status: 206, headers: { "content-range": `bytes ${start}-${last}/${object.length}` }, body };
  }
}

function partsXml(parts: Map<number, Buffer>): string {
  return [...parts]
    .map(([number, body]) => {
      return `<Part><PartNumber>${number}</PartNumber><ETag>${etag(body)}</ETag><Size>${body.length}</Size></Part>`;
    })
    .join("");
}

function etag(body: Buffer): string {
  return `"${createHash("md5").update(body).digest("hex")}"`;
}

function xml(status: number, body: string): Answer {
  return { status, headers: { "content-type": "application/xml" }, body: `<?xml version="1.0"?>${body}` };
}

function error(status: number, code: string, message: string): Answer {
  return xml(status, `<Error><Code>${code}</Code><Message>${message}</Message></Error>`);
}
