import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { type ReactNode, useCallback, useEffect, useRef, useState } from "react";
import { inWords, type Problem } from "../aws/problem";

/** Something is on its way. */
export function Loading({ what }: { what: string }) {
  return (
    <Box textAlign="center" padding="xxl">
      <StatusIndicator type="loading">Loading {what}</StatusIndicator>
    </Box>
  );
}

/** Something did not work, and what to do about it. */
export function Failure({ problem, onRetry }: { problem: Problem; onRetry?: (() => void) | undefined }) {
  return (
    <Alert
      type={problem.kind === "transient" ? "warning" : "error"}
      header={problem.title}
      action={onRetry && <Button onClick={onRetry}>Try again</Button>}
    >
      {problem.fix}
    </Alert>
  );
}

/** Nothing is there yet, and how to change that. */
export function Empty({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <Box textAlign="center" color="inherit" padding={{ vertical: "l" }}>
      <SpaceBetween size="xs">
        <b>{title}</b>
        {children && <Box color="text-body-secondary">{children}</Box>}
        {action}
      </SpaceBetween>
    </Box>
  );
}

/** Something that is read once, and again when asked to. */
export interface Loaded<T> {
  data: T | undefined;
  problem: Problem | undefined;
  loading: boolean;
  reload: () => void;
}

/** Reads something when the component appears. `load` must stay the same as long as it reads the same. */
export function useLoaded<T>(load: () => Promise<T>): Loaded<T> {
  const [state, setState] = useState<Omit<Loaded<T>, "reload">>({ data: undefined, problem: undefined, loading: true });
  // Answers to what was asked before do not count.
  const latest = useRef(0);
  const reload = useCallback(() => {
    const mine = ++latest.current;
    setState((before) => ({ ...before, loading: true, problem: undefined }));
    load().then(
      (data) => mine === latest.current && setState({ data, problem: undefined, loading: false }),
      (error: unknown) =>
        mine === latest.current && setState((before) => ({ ...before, problem: inWords(error), loading: false })),
    );
  }, [load]);
  useEffect(() => {
    reload();
    return () => {
      latest.current++;
    };
  }, [reload]);
  return { ...state, reload };
}
