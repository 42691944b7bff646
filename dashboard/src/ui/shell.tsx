import AppLayout from "@cloudscape-design/components/app-layout";
import BreadcrumbGroup from "@cloudscape-design/components/breadcrumb-group";
import SideNavigation from "@cloudscape-design/components/side-navigation";
import { useEffect, useState, useSyncExternalStore } from "react";
import { Redirect, Route, Switch, useLocation } from "wouter";
import { NotFoundPage } from "../pages/not-found";
import { decoded } from "../session/path";
import { Boundary } from "./boundary";
import { chunk } from "./chunk";
import { useApp } from "./context";
import { SessionEnded } from "./session-ended";

const UploadPage = chunk(() => import("../pages/upload"), "the page");
const ImportsPage = chunk(() => import("../pages/imports"), "the page");
const ImportPage = chunk(() => import("../pages/import"), "the page");
const TablePage = chunk(() => import("../pages/table"), "the page");
const AlertsPage = chunk(() => import("../pages/alerts"), "the page");

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
  // Cloudscape gives its navigation an attribute that a nav may not have.
  useEffect(() => {
    for (const nav of document.querySelectorAll("nav[aria-orientation]")) nav.removeAttribute("aria-orientation");
  });
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
          <div id="content" tabIndex={-1}>
            <Boundary key={path}>
              <Switch>
                <Route path="/">
                  <Redirect to="/upload" replace />
                </Route>
                <Route path="/upload">
                  <UploadPage />
                </Route>
                <Route path="/imports">
                  <ImportsPage />
                </Route>
                <Route path="/imports/:job">{({ job }) => <ImportPage key={job} name={decoded(job)} />}</Route>
                <Route path="/table">
                  <TablePage />
                </Route>
                <Route path="/alerts">
                  <AlertsPage />
                </Route>
                <Route component={NotFoundPage} />
              </Switch>
            </Boundary>
          </div>
        }
      />
      {ended && <SessionEnded />}
    </>
  );
}
