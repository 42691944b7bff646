import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { type ReactNode, useCallback, useEffect, useRef, useState } from "react";
import { inWords, type Problem } from "../aws/problem";
import { failed, type Loaded, reading, succeeded, unread } from "../loaded/loaded";
import { useApp } from "./context";
import { time } from "./format";

/** Something is on its way. */
export function Loading({ what }: { what: string }) {
  return (
    <Box textAlign="center" padding="xxl">
      <StatusIndicator type="loading">Loading {what}</StatusIndicator>
    </Box>
  );
}

/** Something did not work, and what to do about it. `at`: when what is shown nevertheless was read. */
export function Failure({
  problem,
  at,
  busy = false,
  onRetry,
}: {
  problem: Problem;
  at?: number | undefined;
  busy?: boolean;
  onRetry?: (() => void) | undefined;
}) {
  return (
    <div role="alert">
      <Alert
        type={problem.kind === "transient" ? "warning" : "error"}
        header={problem.title}
        action={
          <SpaceBetween direction="horizontal" size="xs">
            {onRetry && (
              <Button loading={busy} onClick={onRetry}>
                Try again
              </Button>
            )}
            {problem.kind === "page" && <Button onClick={() => location.reload()}>Reload the page</Button>}
          </SpaceBetween>
        }
      >
        {problem.fix}
        {at !== undefined && ` What is shown was read on ${time(at)}.`}
      </Alert>
    </div>
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

/** What went wrong with the newest read, if anything did, above what is known from before. */
export function Stale({ loaded, onRetry }: { loaded: Loaded<unknown>; onRetry: () => void }) {
  // That a session has ended is said by a dialog.
  if (!loaded.problem || loaded.problem.kind === "session") return null;
  return <Failure problem={loaded.problem} at={loaded.at} busy={loaded.reading} onRetry={onRetry} />;
}

/** Shows what was read, or how that goes. */
export function Show<T>({
  loaded,
  what,
  onRetry,
  children,
}: {
  loaded: Loaded<T>;
  what: string;
  onRetry: () => void;
  children: (data: T) => ReactNode;
}) {
  if (loaded.at === undefined) {
    return loaded.problem ? (
      <Failure problem={loaded.problem} busy={loaded.reading} onRetry={onRetry} />
    ) : (
      <Loading what={what} />
    );
  }
  return (
    <SpaceBetween size="m">
      <Stale loaded={loaded} onRetry={onRetry} />
      {children(loaded.data as T)}
    </SpaceBetween>
  );
}

/** Something that a component reads. */
export interface Reading<T> {
  loaded: Loaded<T>;
  /** Reads it again, from its beginning. */
  reload: () => void;
  /** Reads on from what is known. */
  extend: (more: (known: T) => Promise<T>) => void;
}

/** Reads something when the component appears. `load` must stay the same as long as it reads the same. */
export function useLoaded<T>(load: () => Promise<T>): Reading<T> {
  const { session } = useApp();
  const [state, setState] = useState<{ of: () => Promise<T>; loaded: Loaded<T> }>({ of: load, loaded: unread() });
  // What is known of something else does not count.
  const loaded = state.of === load ? state.loaded : unread<T>();
  // Answers to what was asked before do not count.
  const latest = useRef(0);
  const known = useRef(loaded);
  known.current = loaded;
  const read = useCallback(
    (action: () => Promise<T>) => {
      const mine = ++latest.current;
      const become = (change: (before: Loaded<T>) => Loaded<T>) => {
        if (mine !== latest.current) return;
        setState((before) => ({ of: load, loaded: change(before.of === load ? before.loaded : unread()) }));
      };
      become(reading);
      action().then(
        (data) => become(() => succeeded(data, Date.now())),
        (error: unknown) => become((before) => failed(before, inWords(error))),
      );
    },
    [load],
  );
  const reload = useCallback(() => read(load), [read, load]);
  const extend = useCallback(
    (more: (known: T) => Promise<T>) => {
      const { at, data } = known.current;
      read(at === undefined ? load : () => more(data as T));
    },
    [read, load],
  );
  useEffect(() => {
    reload();
    const unsubscribe = session.onSignedIn(() => {
      if (known.current.problem?.kind === "session") reload();
    });
    return () => {
      unsubscribe();
      latest.current++;
    };
  }, [reload, session]);
  return { loaded, reload, extend };
}
