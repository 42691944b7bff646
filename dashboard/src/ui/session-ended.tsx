import { useState } from "react";
import { inWords, type Problem } from "../aws/problem";
import { useApp } from "./context";
import { Dialog } from "./dialog";
import { Failure } from "./states";

const BLOCKED: Problem = {
  title: "The window to sign in did not open.",
  fix: "Allow pop-up windows for this page in your browser, and try again.",
  kind: "final",
};

/** Nothing works any more until somebody signs in; what is on the page stays there. */
export function SessionEnded() {
  const { session } = useApp();
  const [problem, setProblem] = useState<Problem>();
  const signIn = () => {
    setProblem(undefined);
    session.signInAgain().catch((error: unknown) => {
      setProblem(/disposed window/i.test((error as Error).message) ? BLOCKED : inWords(error));
    });
  };
  return (
    <Dialog title="Your session has ended" action="Sign in" onAction={signIn}>
      Sign in again, in a window that opens, to go on where you are. Files that you chose, corrections and uploads stay
      as they are.
      {problem && <Failure problem={problem} />}
    </Dialog>
  );
}
