"""A JSON array from S3 into a table by awswrangler (AWS SDK for pandas), with its default settings.

    python wrangler.py BUCKET KEY

Its put_json and put_csv read numbers as floats, which boto3 refuses; put_items is what both call.

https://aws-sdk-pandas.readthedocs.io/en/stable/stubs/awswrangler.dynamodb.put_items.html
"""

import json
import sys
from decimal import Decimal

import awswrangler as wr
import boto3


def main():
    bucket, key = sys.argv[1:]
    body = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"]
    items = json.loads(body.read(), parse_float=Decimal)
    wr.dynamodb.put_items(items=items, table_name="InventoryTable")


if __name__ == "__main__":
    main()
