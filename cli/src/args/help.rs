//! What `--help` says after the options: examples and exit codes.

macro_rules! exit_codes {
    () => {
        "Exit codes:
  0  everything was written
  1  failed, or stopped before the end
  2  wrong usage
  3  finished, but some rows were rejected"
    };
}

pub(super) const EXIT_CODES: &str = exit_codes!();

pub(super) const CLI_HELP: &str = concat!(
    "Examples:",
    if_local!(
        "\n  intake                                                          # the whole flow, locally"
    ),
    "
  intake validate catalog.csv                                     # check a file, write nothing",
    if_local!(
        "\n  intake import catalog.csv --table InventoryTable --local        # import it into the local table"
    ),
    "
  intake import s3://bucket/catalog.json.gz --table InventoryTable
  intake status                                                   # how far uploaded files are
  intake doctor --bucket inventory-upload-YOURNAME                # why nothing is imported

",
    exit_codes!()
);

pub(super) const IMPORT_HELP: &str = concat!(
    "Examples:
  intake import inventory.json --table InventoryTable
  intake import s3://my-bucket/uploads/catalog.csv.gz --table InventoryTable --max-wcu 500
  intake import prices.csv --table Prices --types sku:S,price:N --delimiter ';' --encoding windows-1252
  intake import s3://my-bucket/uploads/huge.json --table InventoryTable --workers 4    # by four processes at once
  aws dynamodb scan --table-name Old > old.json
  intake import old.json --table New --format ddb-json --rows-at /Items",
    if_local!("\n  intake generate --rows 200000 --shape catalog --format json | intake import - --local --table InventoryTable"),
    "

",
    exit_codes!()
);

pub(super) const VALIDATE_HELP: &str = concat!(
    "Examples:
  intake validate inventory.json
  intake validate *.csv.gz --types sku:S --rejects bad.jsonl
  intake validate orders.jsonl --key customerId:S,orderedAt:N
  intake validate s3://my-bucket/uploads/catalog.csv --table InventoryTable

",
    exit_codes!()
);

pub(super) const STATUS_HELP: &str = concat!(
    "Examples:
  intake status                                                # the newest jobs",
    if_local!(
        "\n  intake status --local                                        # those of `intake local`"
    ),
    "
  intake status s3://my-bucket/uploads/catalog.csv.gz --watch  # until it ends
  intake status 20261123T101500000Z-0123456789abcdef --json | jq .reason

Exit codes: 0, or 1 if it cannot be told; with --watch
  0  the job is COMPLETED
  1  it has FAILED, or is CANCELLED
  2  wrong usage
  3  it is COMPLETED_WITH_REJECTS"
);

pub(super) const CANCEL_HELP: &str = "Examples:
  intake cancel 20261123T101500000Z-0123456789abcdef
  intake cancel s3://my-bucket/uploads/catalog.csv.gz --wait

Exit codes:
  0  the job was asked to stop; with --wait: it is CANCELLED
  1  there is no such job, or it has ended otherwise
  2  wrong usage";

pub(super) const DOCTOR_HELP: &str = concat!(
    "Examples:
  intake doctor --bucket inventory-upload-YOURNAME      # the stack as README's deploy section makes it",
    if_local!("\n  intake doctor --local                                 # that of `intake local`"),
    "
  intake doctor --bucket B --file inventory.json        # and whether this file fits the table's key
  intake doctor --bucket B --json | jq -r .fix

It finds, among others (the lab's bug in brackets):
  [1] no S3 trigger, wrong bucket, prefix, suffix or event type; a queue that S3 may not send to; a mapping that is missing
      or disabled; a function whose reserved concurrency is 0
  [2] permissions that a function's role lacks             [3] no table; a file whose key is not the table's
  [4] a timeout that is too low, or longer than the queue's visibility timeout
  [5] no topic, no subscription, or one that is not confirmed; a variable that is not set
  [6] a stream that is disabled, of the wrong view type, or read by nobody
  [7] a file that is not valid JSON                        [8] no permission to publish
  and files that were set aside in the dead-letter queue

Each has a name that stays the same, and a command or a template parameter that repairs it. Nothing is changed.

Exit codes:
  0  nothing is wrong; a note may be told
  1  something is wrong, or it cannot be told
  2  wrong usage
  3  nothing wrong was found, but not everything could be checked"
);

pub(super) const GENERATE_HELP: &str = "Examples:
  intake generate --rows 1000 --shape small --format csv > small.csv
  intake generate --rows 200000 --shape catalog --format json | gzip > catalog.json.gz
  intake generate --rows 5000 --shape catalog --format jsonl --duplicates 10 --seed 7";
