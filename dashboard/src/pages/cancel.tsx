import Button from "@cloudscape-design/components/button";
import { useState } from "react";
import { inWords, type Problem } from "../aws/problem";
import { isEnded, type Job } from "../jobs/job";
import { useApp } from "../ui/context";
import { Dialog } from "../ui/dialog";
import { Failure } from "../ui/states";

/** Stops an import, after asking; nothing if there is nothing to stop. */
export function CancelButton({ job, onCancelled }: { job: Job; onCancelled: () => void }) {
  const { services } = useApp();
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  if (isEnded(job)) return null;
  const cancel = async () => {
    setBusy(true);
    setProblem(undefined);
    try {
      await services.cancel(job.job);
      setAsking(false);
      onCancelled();
    } catch (error) {
      setProblem(inWords(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <Button
        wrapText={false}
        disabled={job.cancelRequested}
        onClick={() => setAsking(true)}
        ariaLabel={`Cancel the import of ${job.file}`}
      >
        Cancel
      </Button>
      {asking && (
        <Dialog
          title="Cancel this import?"
          action="Cancel the import"
          busy={busy}
          onAction={() => void cancel()}
          otherwise="Keep importing"
          onClose={() => setAsking(false)}
        >
          It stops within seconds. Rows that are written by then stay in {job.table}.
          {problem && <Failure problem={problem} />}
        </Dialog>
      )}
    </>
  );
}
