import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState, useSyncExternalStore } from "react";
import { inWords } from "../aws/problem";
import { useApp } from "../ui/context";

/** What everybody sees who has not signed in. */
export function SignInPage() {
  const { config, session } = useApp();
  const { failure } = useSyncExternalStore(session.subscribe, session.snapshot);
  const [problem, setProblem] = useState<string>();
  const [leaving, setLeaving] = useState(false);
  const signIn = () => {
    setLeaving(true);
    // Back to the page that was asked for.
    session.signIn(location.pathname).catch((error: unknown) => {
      setLeaving(false);
      setProblem(inWords(error).title);
    });
  };
  return (
    <main id="content" className="sign-in" tabIndex={-1}>
      <Container>
        <SpaceBetween size="l">
          <Box variant="h1">Import files into {config.table}</Box>
          <Box variant="p">
            Drop a CSV, JSON or JSON Lines file, see at once which rows would be rejected, and watch the others land in
            DynamoDB.
          </Box>
          {(failure ?? problem) && (
            <Alert type="error" header="You are not signed in">
              {failure ?? problem} Try again.
            </Alert>
          )}
          <Button variant="primary" loading={leaving} onClick={signIn}>
            Sign in
          </Button>
          {config.inboxUrl !== undefined && (
            <Box color="text-body-secondary">
              This is a local stack: confirmation codes and alerts are in the <Link href="/alerts">inbox</Link>.
            </Box>
          )}
        </SpaceBetween>
      </Container>
    </main>
  );
}
