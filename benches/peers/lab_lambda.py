"""The function ProcessInventoryFile of the AWS Serverless Inventory Processing Lab, called as Lambda calls it.

    python lab_lambda.py BUCKET KEY

The code is the lab's but for one argument: without `parse_float` boto3 refuses the first price that has a decimal point.
"""

import json
import sys
from decimal import Decimal

import boto3

s3 = boto3.client('s3')
dynamodb = boto3.resource('dynamodb')
table = dynamodb.Table('InventoryTable')

def lambda_handler(event, context):
    bucket = event['Records'][0]['s3']['bucket']['name']
    key = event['Records'][0]['s3']['object']['key']

    response = s3.get_object(Bucket=bucket, Key=key)
    content = response['Body'].read().decode('utf-8')
    items = json.loads(content, parse_float=Decimal)

    for item in items:
        table.put_item(Item=item)

    return {
        'statusCode': 200,
        'body': 'Inventory processed successfully'
    }


if __name__ == '__main__':
    bucket, key = sys.argv[1:]
    lambda_handler({'Records': [{'s3': {'bucket': {'name': bucket}, 'object': {'key': key}}}]}, None)
