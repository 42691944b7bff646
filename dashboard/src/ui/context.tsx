import { createContext, useContext } from "react";
import type { Services } from "../aws/services";
import type { Config } from "../config";
import type { JobsWatcher } from "../jobs/watcher";
import type { Session } from "../session/session";
import type { UploadManager } from "../upload/manager";

/** What every page works with. */
export interface AppState {
  config: Config;
  session: Session;
  services: Services;
  jobs: JobsWatcher;
  uploads: UploadManager;
  /** Corrections that were typed and not imported yet, by job. */
  edits: Map<string, string>;
}

const Context = createContext<AppState | undefined>(undefined);

export const App = Context.Provider;

/** What every page works with. */
export function useApp(): AppState {
  const state = useContext(Context);
  if (!state) throw new Error("there is no App around this component");
  return state;
}
