import { useEffect } from "react";

const FOCUSABLE = "a[href], button:not([disabled]), input:not([disabled]), textarea:not([disabled]), [tabindex='0']";

/** Focuses something that need not be reachable by the keyboard, such as a heading. */
function focusOn(element: HTMLElement | null | undefined): void {
  if (!element) return;
  if (!element.matches(FOCUSABLE)) element.tabIndex = -1;
  element.focus({ preventScroll: element.tabIndex < 0 });
}

/** What a page is about: its heading, or else all of it. */
function content(): HTMLElement | null {
  const main = document.querySelector<HTMLElement>("main");
  return main?.querySelector<HTMLElement>("h1") ?? main;
}

/**
 * Keeps the focus on the page: when what has it goes away, such as the button of a file that is sent, it goes to what is
 * left of the place, or to the page's heading, and not to the body, from which people would have to start again.
 */
export function useKeptFocus(): void {
  useEffect(() => {
    let last: { element: Element; around: Element[] } | undefined;
    const note = () => {
      const element = document.activeElement;
      if (!element || element === document.body) return;
      const around: Element[] = [];
      for (let one = element.parentElement; one && one !== document.body; one = one.parentElement) around.push(one);
      last = { element, around };
    };
    const keep = () => {
      const active = document.activeElement;
      if (last === undefined || (active && active !== document.body)) return;
      // A click on nothing takes the focus away, too; then what had it is still there.
      const gone = !last.element.isConnected || last.element.matches(":disabled, [hidden] *");
      if (!gone || document.querySelector("[role=dialog]")) return;
      const main = document.querySelector("main");
      const left = last.around.find((one) => one.isConnected && main?.contains(one) && one !== main);
      last = undefined;
      const heading = content();
      focusOn(left?.contains(heading) ? heading : (left?.querySelector<HTMLElement>(FOCUSABLE) ?? heading));
    };
    const observer = new MutationObserver(() => requestAnimationFrame(keep));
    observer.observe(document.body, { childList: true, subtree: true, attributeFilter: ["disabled"] });
    document.addEventListener("focusin", note);
    return () => {
      observer.disconnect();
      document.removeEventListener("focusin", note);
    };
  }, []);
}
