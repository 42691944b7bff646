"""A JSON array from S3 into a table by boto3's batch_writer, as its documentation shows it.

    python batch_writer.py BUCKET KEY

https://boto3.amazonaws.com/v1/documentation/api/latest/guide/dynamodb.html#batch-writing
"""

import json
import sys
from decimal import Decimal

import boto3


def main():
    bucket, key = sys.argv[1:]
    body = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"]
    items = json.loads(body.read(), parse_float=Decimal)
    with boto3.resource("dynamodb").Table("InventoryTable").batch_writer() as batch:
        for item in items:
            batch.put_item(Item=item)


if __name__ == "__main__":
    main()
