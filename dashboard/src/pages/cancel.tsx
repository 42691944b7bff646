import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { inWords, type Problem } from "../aws/problem";
import { isEnded, type Job } from "../jobs/job";
import { useApp } from "../ui/context";
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
        disabled={job.cancelRequested}
        onClick={() => setAsking(true)}
        ariaLabel={`Cancel the import of ${job.file}`}
      >
        Cancel
      </Button>
      <Modal
        visible={asking}
        onDismiss={() => setAsking(false)}
        header="Cancel this import?"
        closeAriaLabel="Close"
        footer={
          <Box float="right">
            <SpaceBetween direction="horizontal" size="xs">
              <Button variant="link" onClick={() => setAsking(false)}>
                Keep importing
              </Button>
              <Button variant="primary" loading={busy} onClick={() => void cancel()}>
                Cancel the import
              </Button>
            </SpaceBetween>
          </Box>
        }
      >
        <SpaceBetween size="s">
          <span>
            It stops at its next checkpoint, within seconds. Rows that are written by then stay in {job.table}.
          </span>
          {problem && <Failure problem={problem} />}
        </SpaceBetween>
      </Modal>
    </>
  );
}
