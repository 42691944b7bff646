// A JSON array from S3 into a table by the AWS SDK for JavaScript's document client.
//
//     node document_client.mjs BUCKET KEY
//
// Connections are kept alive, which is the SDK's default, and 16 requests are under way at a time, as many as Intake's.
// https://docs.aws.amazon.com/AWSJavaScriptSDK/v3/latest/package/-aws-sdk-lib-dynamodb/

import { setTimeout } from "node:timers/promises";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { BatchWriteCommand, DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";

const TABLE = "InventoryTable";
const BATCH_ROWS = 25;
const REQUESTS_AT_A_TIME = 16;
const BACKOFF_MS = 50;

const [bucket, key] = process.argv.slice(2);
const table = DynamoDBDocumentClient.from(new DynamoDBClient({}));

async function write(items) {
  let requests = items.map((Item) => ({ PutRequest: { Item } }));
  for (let attempt = 0; requests.length > 0; attempt += 1) {
    if (attempt > 0) {
      await setTimeout(Math.random() * BACKOFF_MS * 2 ** Math.min(attempt, 8));
    }
    const { UnprocessedItems } = await table.send(new BatchWriteCommand({ RequestItems: { [TABLE]: requests } }));
    requests = UnprocessedItems?.[TABLE] ?? [];
  }
}

const object = await new S3Client({}).send(new GetObjectCommand({ Bucket: bucket, Key: key }));
const items = JSON.parse(await object.Body.transformToString());
let next = 0;
async function writeOneAfterTheOther() {
  while (next < items.length) {
    const first = next;
    next += BATCH_ROWS;
    await write(items.slice(first, next));
  }
}
await Promise.all(Array.from({ length: REQUESTS_AT_A_TIME }, writeOneAfterTheOther));
