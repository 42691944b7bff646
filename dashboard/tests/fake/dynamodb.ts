import type { AttributeValue } from "../../src/preview/item";
import type { Schema } from "../../src/preview/schema";
import type { Answer, Request } from "./http";
import type { Attributes } from "./importer";

interface Input {
  TableName: string;
  Key?: Attributes;
  Limit?: number;
  ScanIndexForward?: boolean;
  ExclusiveStartKey?: Attributes;
  ExpressionAttributeNames?: Record<string, string>;
  ExpressionAttributeValues?: Attributes;
  UpdateExpression?: string;
  ConditionExpression?: string;
  ReturnValues?: string;
}

/** DynamoDB with the permissions of DashboardUserRole, and no more of it than the page asks for. */
export class DynamoDb {
  readonly items = new Map<string, Attributes>();
  readonly jobs = new Map<string, Attributes>();

  constructor(
    readonly schema: Schema,
    readonly jobsTable: string,
    private readonly identityOf: (request: Request) => string | undefined,
  ) {}

  handle(request: Request): Answer {
    const identity = this.identityOf(request);
    if (identity === undefined)
      return error("ExpiredTokenException", "The security token included in the request is expired");
    const operation = String(request.headers["x-amz-target"]).split(".")[1] ?? "";
    const input = JSON.parse(request.body.toString()) as Input;
    if (input.TableName === this.jobsTable) return this.onJobs(operation, input, identity);
    if (input.TableName !== this.schema.table) return error("AccessDeniedException", "not authorized");
    switch (operation) {
      case "DescribeTable":
        return json({
          Table: {
            TableName: this.schema.table,
            ItemCount: this.items.size,
            KeySchema: this.schema.key.map(({ name }, index) => ({
              AttributeName: name,
              KeyType: index === 0 ? "HASH" : "RANGE",
            })),
            AttributeDefinitions: this.schema.key.map(({ name, type }) => ({
              AttributeName: name,
              AttributeType: type,
            })),
          },
        });
      case "Scan":
        return this.page([...this.items], input);
      case "Query": {
        const wanted = Object.entries(input.ExpressionAttributeNames ?? {}).map(([placeholder, name]) => {
          return [name, JSON.stringify(input.ExpressionAttributeValues?.[placeholder.replace("#", ":")])] as const;
        });
        const found = [...this.items].filter(([, item]) =>
          wanted.every(([name, value]) => JSON.stringify(item[name]) === value),
        );
        return this.page(found, input);
      }
      default:
        return error("AccessDeniedException", "not authorized");
    }
  }

  private page(items: [string, Attributes][], input: Input): Answer {
    const after = input.ExclusiveStartKey
      ? items.findIndex(([key]) => key === this.keyOf(input.ExclusiveStartKey as Attributes))
      : -1;
    const page = items.slice(after + 1, after + 1 + (input.Limit ?? items.length));
    const last = page.at(-1)?.[1];
    const more = after + 1 + page.length < items.length;
    return json({
      Items: page.map(([, item]) => item),
      ...(more &&
        last && { LastEvaluatedKey: Object.fromEntries(this.schema.key.map(({ name }) => [name, last[name]])) }),
    });
  }

  private keyOf(key: Attributes): string {
    return JSON.stringify(this.schema.key.map(({ name }) => key[name]));
  }

  private onJobs(operation: string, input: Input, identity: string): Answer {
    const denied = error("AccessDeniedException", "not authorized");
    const text = (value: AttributeValue | undefined) => (value && "S" in value ? value.S : "");
    if (operation === "Query") {
      if (text(input.ExpressionAttributeValues?.[":owner"]) !== identity) return denied;
      const mine = [...this.jobs.values()].filter((job) => text(job.owner) === identity && job.status);
      mine.sort((a, b) => (text(a.job) < text(b.job) ? 1 : -1));
      return json({ Items: mine.slice(0, input.Limit) });
    }
    if (text(input.Key?.owner) !== identity) return denied;
    const name = text(input.Key?.job);
    const job = this.jobs.get(name);
    if (operation === "GetItem") return json(job ? { Item: job } : {});
    // Exactly what the role allows.
    const names = new Set(Object.values(input.ExpressionAttributeNames ?? {}));
    if (operation !== "UpdateItem" || [...names].some((one) => one !== "cancel_requested" && one !== "job"))
      return denied;
    if (input.ReturnValues !== undefined && input.ReturnValues !== "NONE") return denied;
    if (!job) return error("ConditionalCheckFailedException", "The conditional request failed");
    this.jobs.set(name, { ...job, cancel_requested: { BOOL: true } });
    return json({});
  }
}

function json(body: object): Answer {
  return { headers: { "content-type": "application/x-amz-json-1.0" }, body: JSON.stringify(body) };
}

function error(type: string, message: string): Answer {
  return {
    status: 400,
    headers: { "content-type": "application/x-amz-json-1.0" },
    body: JSON.stringify({ __type: `com.amazonaws.dynamodb.v20120810#${type}`, message }),
  };
}
