//! Looks a table up.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, GlobalSecondaryIndexDescription, KeySchemaElement, KeyType as Role,
    LocalSecondaryIndexDescription, ScalarAttributeType, TableDescription,
};
use rows::{KeyAttribute, KeyType, Schema};

use crate::aws::service_error;
use crate::error::Error;

/// Reads the keys of the table `name`, which may be a name or an ARN.
///
/// # Errors
///
/// [`Error::Service`] if there is no such table or it may not be described.
pub async fn describe(client: &Client, name: &str) -> Result<Schema, Error> {
    identify(client, name).await.map(|(schema, _)| schema)
}

/// The same, with the table's id: one that is deleted and created again has another.
///
/// # Errors
///
/// As for [`describe`].
pub async fn identify(client: &Client, name: &str) -> Result<(Schema, String), Error> {
    let output = client
        .describe_table()
        .table_name(name)
        .send()
        .await
        .map_err(|e| service_error("DescribeTable", name, e))?;
    let table = output.table().ok_or_else(|| unusable(name))?;
    let id = table.table_id().or(table.table_arn()).unwrap_or(name);
    Ok((schema(name, table)?, id.to_owned()))
}

/// The keys in the description of the table `name`, which may be a name or an ARN.
///
/// # Errors
///
/// [`Error::Unusable`] if the description lacks its key.
pub fn schema(name: &str, table: &TableDescription) -> Result<Schema, Error> {
    let mut key = attributes(table, table.key_schema(), name)?;
    // The partition key comes first, whatever the order of the answer.
    key.sort_by_key(|attribute| attribute.limit_bytes != rows::limits::PARTITION_KEY_BYTES_MAX);
    let global = table
        .global_secondary_indexes()
        .iter()
        .map(GlobalSecondaryIndexDescription::key_schema);
    let local = table
        .local_secondary_indexes()
        .iter()
        .map(LocalSecondaryIndexDescription::key_schema);
    let mut index_keys = Vec::new();
    for schema in global.chain(local) {
        for attribute in attributes(table, schema, name)? {
            let known =
                key.iter().any(|k| k.name == attribute.name) || index_keys.contains(&attribute);
            if !known {
                index_keys.push(attribute);
            }
        }
    }
    Ok(Schema {
        table: name.to_owned(),
        key,
        index_keys,
    })
}

fn attributes(
    table: &TableDescription,
    schema: &[KeySchemaElement],
    name: &str,
) -> Result<Vec<KeyAttribute>, Error> {
    let mut attributes = Vec::new();
    for element in schema {
        let mut definitions = table.attribute_definitions().iter();
        let definition = definitions.find(|d| d.attribute_name() == element.attribute_name());
        let key_type = match definition.map(AttributeDefinition::attribute_type) {
            Some(ScalarAttributeType::S) => KeyType::S,
            Some(ScalarAttributeType::N) => KeyType::N,
            Some(ScalarAttributeType::B) => KeyType::B,
            _ => return Err(unusable(name)),
        };
        attributes.push(match element.key_type() {
            Role::Hash => KeyAttribute::partition(element.attribute_name(), key_type),
            _ => KeyAttribute::sort(element.attribute_name(), key_type),
        });
    }
    Ok(attributes)
}

fn unusable(name: &str) -> Error {
    Error::Unusable {
        problem: format!("the description of table {name} lacks its key"),
        fix: "check the endpoint: DynamoDB always tells a table's key".to_owned(),
    }
}
