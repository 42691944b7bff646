import "@cloudscape-design/global-styles/index.css";
import "./app.css";
import { I18nProvider } from "@cloudscape-design/components/i18n";
import messages from "@cloudscape-design/components/i18n/messages/all.en";
import { lazy, Suspense, useState, useSyncExternalStore } from "react";
import { useLocation } from "wouter";
import { Services } from "../aws/services";
import type { Config } from "../config";
import { JobsWatcher } from "../jobs/watcher";
import { SignInPage } from "../pages/sign-in";
import type { Session } from "../session/session";
import { UploadManager } from "../upload/manager";
import { ResumeStore } from "../upload/resume";
import { App, type AppState } from "./context";
import { Loading } from "./states";
import { TopBar } from "./top-bar";

// What only people who signed in need is not loaded before.
const Shell = lazy(() => import("./shell"));

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
      uploads: new UploadManager(services, new ResumeStore(localStorage), sessionStorage),
    };
  });
  const [path] = useLocation();
  // The local stack's inbox has the confirmation codes, without which nobody can sign in.
  const isOpen = config.inboxUrl !== undefined && path === "/alerts";
  return (
    <I18nProvider locale="en" messages={[messages]}>
      <App value={state}>
        <TopBar user={user} onSignOut={() => void session.signOut()} />
        {user !== undefined || isOpen ? (
          <Suspense fallback={<Loading what="the page" />}>
            <Shell />
          </Suspense>
        ) : (
          <SignInPage />
        )}
      </App>
    </I18nProvider>
  );
}
