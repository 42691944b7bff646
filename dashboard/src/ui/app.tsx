import "@cloudscape-design/global-styles/index.css";
import "./app.css";
import { I18nProvider } from "@cloudscape-design/components/i18n";
import messages from "@cloudscape-design/components/i18n/messages/all.en";
import { useEffect, useState, useSyncExternalStore } from "react";
import { useLocation } from "wouter";
import { Services } from "../aws/services";
import type { Config } from "../config";
import { JobsWatcher } from "../jobs/watcher";
import { SignInPage } from "../pages/sign-in";
import type { Session } from "../session/session";
import { UploadManager } from "../upload/manager";
import { ResumeStore } from "../upload/resume";
import { Boundary } from "./boundary";
import { chunk } from "./chunk";
import { App, type AppState } from "./context";
import { Dialog } from "./dialog";
import { useKeptFocus } from "./focus";
import { TopBar } from "./top-bar";

// What only people who signed in need is not loaded before.
const Shell = chunk(() => import("./shell"), "the page");

/** The whole page. */
export function Root({ config, session }: { config: Config; session: Session }) {
  const { user } = useSyncExternalStore(session.subscribe, session.snapshot);
  const [state] = useState((): AppState => {
    const services = new Services(config, session);
    return {
      config,
      session,
      services,
      jobs: new JobsWatcher(services),
      uploads: new UploadManager(services, new ResumeStore(localStorage)),
      edits: new Map(),
    };
  });
  useKeptFocus();
  useEffect(() => {
    const { jobs, uploads, edits } = state;
    const ask = (event: Event) => {
      if (uploads.isBusy() || edits.size > 0) event.preventDefault();
    };
    window.addEventListener("beforeunload", ask);
    const unsubscribe = session.onSignedIn(() => {
      uploads.signedIn();
      jobs.refresh();
    });
    return () => {
      window.removeEventListener("beforeunload", ask);
      unsubscribe();
    };
  }, [state, session]);
  const [path] = useLocation();
  const [leaving, setLeaving] = useState(false);
  const isAtStake = () => state.uploads.isBusy() || state.edits.size > 0;
  const leave = () => {
    // What is lost was said: the browser need not ask again.
    state.uploads.giveUp();
    state.edits.clear();
    void session.signOut();
  };
  // The local stack's inbox has the confirmation codes, without which nobody can sign in.
  const isOpen = config.inboxUrl !== undefined && path === "/alerts";
  return (
    <I18nProvider locale="en" messages={[messages]}>
      <App value={state}>
        <a className="skip-link" href="#content">
          Skip to the content
        </a>
        <TopBar user={user} onSignOut={() => (isAtStake() ? setLeaving(true) : leave())} />
        {leaving && (
          <Dialog
            title="Sign out?"
            action="Sign out"
            onAction={leave}
            otherwise="Stay"
            onClose={() => setLeaving(false)}
          >
            Files that you chose, uploads under way and corrections that you did not import are lost.
          </Dialog>
        )}
        <Boundary>{user !== undefined || isOpen ? <Shell /> : <SignInPage />}</Boundary>
      </App>
    </I18nProvider>
  );
}
