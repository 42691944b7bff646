import AppLayout from "@cloudscape-design/components/app-layout";
import BreadcrumbGroup from "@cloudscape-design/components/breadcrumb-group";
import SideNavigation from "@cloudscape-design/components/side-navigation";
import { lazy, Suspense, useEffect, useState, useSyncExternalStore } from "react";
import { Redirect, Route, Switch, useLocation } from "wouter";
import { NotFoundPage } from "../pages/not-found";
import { useApp } from "./context";
import { Loading } from "./states";

const SessionEnded = lazy(() => import("./session-ended"));
const UploadPage = lazy(() => import("../pages/upload"));
const ImportsPage = lazy(() => import("../pages/imports"));
const ImportPage = lazy(() => import("../pages/import"));
const TablePage = lazy(() => import("../pages/table"));
const AlertsPage = lazy(() => import("../pages/alerts"));

const PAGES = [
  { href: "/upload", text: "Upload" },
  { href: "/imports", text: "Imports" },
  { href: "/table", text: "Table" },
  { href: "/alerts", text: "Alerts" },
];

/** What is around the pages of those who signed in. */
export default function Shell() {
  const [path, navigate] = useLocation();
  const { session } = useApp();
  const { user, ended } = useSyncExternalStore(session.subscribe, session.snapshot);
  const [open, setOpen] = useState(() => window.innerWidth > 900);
  const page = PAGES.find(({ href }) => path === href || path.startsWith(`${href}/`));
  const job = /^\/imports\/(.+)$/.exec(path)?.[1];
  const title = job === undefined ? page?.text : "Import";
  useEffect(() => {
    document.title = title ? `${title} – Intake` : "Intake";
  }, [title]);
  const follow = (event: CustomEvent<{ href?: string; external?: boolean }>) => {
    if (event.detail.external || !event.detail.href?.startsWith("/")) return;
    event.preventDefault();
    navigate(event.detail.href);
  };
  return (
    <>
      <AppLayout
        headerSelector="#top"
        toolsHide
        navigationHide={user === undefined}
        navigationOpen={open}
        onNavigationChange={({ detail }) => setOpen(detail.open)}
        navigation={
          <SideNavigation
            activeHref={page?.href ?? ""}
            items={PAGES.map(({ href, text }) => ({ type: "link", href, text }))}
            onFollow={(event) => {
              if (window.innerWidth <= 900) setOpen(false);
              follow(event);
            }}
          />
        }
        breadcrumbs={
          job === undefined ? undefined : (
            <BreadcrumbGroup
              items={[
                { text: "Imports", href: "/imports" },
                { text: "Import", href: path },
              ]}
              onFollow={follow}
            />
          )
        }
        content={
          <Suspense fallback={<Loading what="the page" />}>
            <Switch>
              <Route path="/">
                <Redirect to="/upload" replace />
              </Route>
              <Route path="/upload" component={UploadPage} />
              <Route path="/imports" component={ImportsPage} />
              <Route path="/imports/:job">{({ job }) => <ImportPage key={job} name={decodeURIComponent(job)} />}</Route>
              <Route path="/table" component={TablePage} />
              <Route path="/alerts" component={AlertsPage} />
              <Route component={NotFoundPage} />
            </Switch>
          </Suspense>
        }
      />
      {ended && (
        <Suspense>
          <SessionEnded path={path} />
        </Suspense>
      )}
    </>
  );
}
