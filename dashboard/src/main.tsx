import { createRoot } from "react-dom/client";
import { parseConfig } from "./config";
import { Session } from "./session/session";
import { Root } from "./ui/app";
import { currentTheme, showTheme } from "./ui/theme";

async function start(root: HTMLElement): Promise<void> {
  showTheme(currentTheme());
  const home = new URL(import.meta.env.BASE_URL, location.origin).href;
  const response = await fetch(new URL("config.json", home), { cache: "no-store" });
  const config = parseConfig(response.ok ? await response.text() : "");
  const session = new Session(config, home);
  const path = await session.begin(location);
  if (path === "closing") {
    say(root, "You are signed in", "This window can be closed.");
    return;
  }
  // Without code and state, which are of no more use.
  if (path !== undefined) history.replaceState(null, "", path);
  createRoot(root).render(<Root config={config} session={session} />);
}

const root = document.getElementById("root") as HTMLElement;
start(root).catch((error: unknown) => {
  // Without a configuration there is nothing to show but why.
  say(
    root,
    "The dashboard cannot start",
    error instanceof Error ? error.message : String(error),
    "Check your connection and reload. If that does not help, the people who deployed this stack must put its config.json next to this page.",
  );
});

/** Shows a heading and some sentences, and nothing else. */
function say(root: HTMLElement, title: string, ...sentences: string[]): void {
  const main = document.createElement("main");
  main.className = "sign-in";
  const heading = document.createElement("h1");
  heading.textContent = title;
  const paragraphs = sentences.map((text) => {
    const paragraph = document.createElement("p");
    paragraph.textContent = text;
    return paragraph;
  });
  main.append(heading, ...paragraphs);
  root.replaceChildren(main);
}
