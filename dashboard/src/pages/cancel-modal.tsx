import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { inWords, type Problem } from "../aws/problem";
import type { Job } from "../jobs/job";
import { useApp } from "../ui/context";
import { Failure } from "../ui/states";

/** Asks whether an import is to be stopped, and stops it. */
export default function CancelModal({
  job,
  onClose,
  onCancelled,
}: {
  job: Job;
  onClose: () => void;
  onCancelled: () => void;
}) {
  const { services } = useApp();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const cancel = async () => {
    setBusy(true);
    setProblem(undefined);
    try {
      await services.cancel(job.job);
      onClose();
      onCancelled();
    } catch (error) {
      setProblem(inWords(error));
      setBusy(false);
    }
  };
  return (
    <Modal
      visible
      onDismiss={onClose}
      header="Cancel this import?"
      closeAriaLabel="Close"
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={onClose}>
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
        <span>It stops at its next checkpoint, within seconds. Rows that are written by then stay in {job.table}.</span>
        {problem && <Failure problem={problem} />}
      </SpaceBetween>
    </Modal>
  );
}
