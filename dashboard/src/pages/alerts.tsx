import Badge from "@cloudscape-design/components/badge";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useCallback, useEffect } from "react";
import { type Message, parseInbox } from "../inbox/inbox";
import { useApp } from "../ui/context";
import { time } from "../ui/format";
import { Empty, Show, useLoaded } from "../ui/states";
import { isForCommandLine } from "../words/plain";

const REFRESH_MS = 3_000;

/** What the subscribers of the topic got, where that can be read. */
export default function AlertsPage() {
  const { config } = useApp();
  return (
    <ContentLayout
      header={
        <Header variant="h1" description="What was added to the table, and how imports ended.">
          Alerts
        </Header>
      }
    >
      {config.inboxUrl === undefined ? (
        <NoInbox topic={config.topic ?? "inventory-alerts"} />
      ) : (
        <Inbox url={config.inboxUrl} />
      )}
    </ContentLayout>
  );
}

function NoInbox({ topic }: { topic: string }) {
  return (
    <Container header={<Header variant="h2">Alerts are sent, not kept</Header>}>
      <SpaceBetween size="s">
        <Box variant="p">
          Digests of new items, and the result of each import, go to the subscribers of the SNS topic <b>{topic}</b>: by
          e-mail, SMS, to a queue or a web address. A standard topic keeps no copy that this page could show.
        </Box>
        <Box variant="p">
          To get them, ask the people who run this stack to subscribe your address to the topic, and confirm the e-mail
          that follows. How each of your imports ended is under Imports, too.
        </Box>
      </SpaceBetween>
    </Container>
  );
}

function Inbox({ url }: { url: string }) {
  const load = useCallback(async () => {
    const response = await fetch(url, { cache: "no-store" });
    if (!response.ok) throw new Error(`The inbox answered ${response.status}.`);
    return parseInbox(await response.json());
  }, [url]);
  const { loaded, reload } = useLoaded(load);
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) reload();
    }, REFRESH_MS);
    return () => clearInterval(timer);
  }, [reload]);
  return (
    <Show loaded={loaded} what="the inbox" onRetry={reload}>
      {(messages) => (
        <>
          <Header
            variant="h2"
            counter={`(${messages.length})`}
            description="The inbox of this local stack: nothing was sent to anybody."
            actions={<Button iconName="refresh" ariaLabel="Refresh" onClick={reload} />}
          >
            Inbox
          </Header>
          {messages.length === 0 && (
            <Container>
              <Empty title="No messages yet">Import a file: its digest and its result arrive here.</Empty>
            </Container>
          )}
          {messages.map((message) => (
            <MessageView key={message.id} message={message} />
          ))}
        </>
      )}
    </Show>
  );
}

/** A line of a message; what to do at a command line is on the import's page in other words. */
function forThePage(line: string): string {
  return isForCommandLine(line) ? "What to do is on the import's page, under Imports." : line;
}

function MessageView({ message }: { message: Message }) {
  const kind = message.attributes.kind ?? message.from;
  return (
    <Container
      header={
        <Header
          variant="h3"
          description={`${time(message.time)} · ${message.to ? `to ${message.to}` : message.from}`}
          actions={kind && <Badge color={kind === "import" ? "blue" : "grey"}>{kind}</Badge>}
        >
          <span className="file-name">{message.subject || "(no subject)"}</span>
        </Header>
      }
    >
      <pre className="message">{message.text.split("\n").map(forThePage).join("\n")}</pre>
    </Container>
  );
}
