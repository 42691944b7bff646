import Alert from "@cloudscape-design/components/alert";
import Badge from "@cloudscape-design/components/badge";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import { type FormEvent, useCallback, useState } from "react";
import { useLocation } from "wouter";
import type { Page } from "../aws/services";
import { attributeNames, textOf, typeName, type Value } from "../items/attribute";
import { keyValue } from "../items/key";
import type { Schema } from "../preview/schema";
import { useApp } from "../ui/context";
import { count } from "../ui/format";
import { Empty, Show, Stale, useLoaded } from "../ui/states";

const PAGE_ITEMS = 25;
const COLUMNS_SHOWN = 30;

type LookUp = { name: string; value: Value }[];

/** What is in the table: some of it, or what has a key. */
export default function TablePage() {
  const { config, services } = useApp();
  const schema = useLoaded(useCallback(() => services.describe(), [services]));
  const items = schema.loaded.data?.itemCount;
  return (
    <ContentLayout
      header={
        <Header
          variant="h1"
          description={
            items === undefined
              ? "The table that files are imported into."
              : `${count(items)} ${items === 1 ? "item" : "items"} when DynamoDB counted last, which it does every six hours or so.`
          }
        >
          {config.table}
        </Header>
      }
    >
      <Show loaded={schema.loaded} what="the table" onRetry={schema.reload}>
        {(known) => <Items schema={known} />}
      </Show>
    </ContentLayout>
  );
}

function Items({ schema }: { schema: Schema }) {
  const { services } = useApp();
  const [, navigate] = useLocation();
  const [lookUp, setLookUp] = useState<LookUp>();
  // Where each page begins; the last one is shown.
  const [starts, setStarts] = useState<Page["next"][]>([undefined]);
  const start = starts.at(-1);
  const { loaded, reload } = useLoaded(
    useCallback(
      () => (lookUp ? services.lookUp(lookUp, PAGE_ITEMS, start) : services.scan(PAGE_ITEMS, start)),
      [services, lookUp, start],
    ),
  );
  const page = loaded.data;
  const loading = loaded.reading;

  const search = (key: LookUp | undefined) => {
    setStarts([undefined]);
    setLookUp(key);
  };
  const keys = schema.key.map((key) => key.name);
  const names = attributeNames(page?.items ?? [], keys);
  const items = page?.items ?? [];
  const number = starts.length;
  return (
    <SpaceBetween size="l">
      <KeyForm schema={schema} onSearch={search} searching={lookUp !== undefined} />
      <Stale loaded={loaded} onRetry={reload} />
      <Table
        loading={loaded.state === "loading"}
        loadingText="Loading items"
        items={items}
        trackBy={(item: Record<string, Value>) => JSON.stringify(keys.map((name) => textOf(item[name])))}
        ariaLabels={{ tableLabel: "Items" }}
        columnDefinitions={names.slice(0, COLUMNS_SHOWN).map((name, index) => ({
          id: `c${index}`,
          header: (
            <SpaceBetween direction="horizontal" size="xxs">
              <span>{name}</span>
              {index < keys.length && <Badge color="blue">key</Badge>}
            </SpaceBetween>
          ),
          cell: (item: Record<string, Value>) => <Cell value={item[name]} />,
        }))}
        header={
          <Header
            variant="h2"
            counter={items.length > 0 ? `(${items.length} on this page)` : ""}
            description={
              names.length > COLUMNS_SHOWN
                ? `${COLUMNS_SHOWN} of ${count(names.length)} attributes are shown.`
                : undefined
            }
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Button
                  iconName="angle-left"
                  ariaLabel="Previous page"
                  disabled={number === 1 || loading}
                  onClick={() => setStarts(starts.slice(0, -1))}
                />
                <Button
                  iconName="angle-right"
                  ariaLabel="Next page"
                  disabled={!page?.next || loading}
                  onClick={() => page?.next && setStarts([...starts, page.next])}
                />
                <Button iconName="refresh" ariaLabel="Refresh" loading={loading} onClick={reload} />
              </SpaceBetween>
            }
          >
            Items
          </Header>
        }
        empty={
          page === undefined ? (
            <Empty title="The items could not be read" />
          ) : page.next || number > 1 ? (
            <Empty title="No items on this page" />
          ) : lookUp ? (
            <Empty
              title="No item has this key"
              action={<Button onClick={() => search(undefined)}>Show all items</Button>}
            >
              Keys match exactly, letter for letter.
            </Empty>
          ) : (
            <Empty
              title="The table is empty"
              action={<Button onClick={() => navigate("/upload")}>Upload a file</Button>}
            >
              Each row of a file that you upload becomes an item.
            </Empty>
          )
        }
      />
    </SpaceBetween>
  );
}

function Cell({ value }: { value: Value | undefined }) {
  if (value === undefined) return <Box color="text-status-inactive">–</Box>;
  const text = textOf(value);
  return (
    <div className="cell" title={`${typeName(value)}: ${text.slice(0, 500)}`}>
      {text.slice(0, 200)}
    </div>
  );
}

/** Asks for a key. */
function KeyForm({
  schema,
  searching,
  onSearch,
}: {
  schema: Schema;
  searching: boolean;
  onSearch: (key: LookUp | undefined) => void;
}) {
  const [texts, setTexts] = useState<Record<string, string>>({});
  const [problem, setProblem] = useState<string>();
  const search = (event: FormEvent) => {
    event.preventDefault();
    const key: LookUp = [];
    setProblem(undefined);
    for (const attribute of schema.key) {
      const text = texts[attribute.name] ?? "";
      // Without the sort key it is the whole partition.
      if (text === "" && key.length > 0) break;
      const value = keyValue(attribute, text);
      if (typeof value === "string") {
        setProblem(value);
        return;
      }
      key.push({ name: attribute.name, value });
    }
    onSearch(key);
  };
  return (
    <Container>
      <form onSubmit={search}>
        <SpaceBetween size="s">
          <SpaceBetween direction="horizontal" size="s" alignItems="end">
            {schema.key.map((attribute, index) => (
              <FormField
                key={attribute.name}
                label={`${attribute.name} (${attribute.type})${index > 0 ? " – optional" : ""}`}
              >
                <Input
                  value={texts[attribute.name] ?? ""}
                  placeholder="Exact key"
                  onChange={({ detail }) => setTexts({ ...texts, [attribute.name]: detail.value })}
                />
              </FormField>
            ))}
            <Button formAction="submit">Look up</Button>
            {searching && (
              <Button
                formAction="none"
                variant="link"
                onClick={() => {
                  setTexts({});
                  onSearch(undefined);
                }}
              >
                Show all
              </Button>
            )}
          </SpaceBetween>
          {problem && <Alert type="error">{problem}</Alert>}
        </SpaceBetween>
      </form>
    </Container>
  );
}
