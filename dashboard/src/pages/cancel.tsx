import Button from "@cloudscape-design/components/button";
import { lazy, Suspense, useState } from "react";
import { isEnded, type Job } from "../jobs/job";

const CancelModal = lazy(() => import("./cancel-modal"));

/** Stops an import, after asking; nothing if there is nothing to stop. */
export function CancelButton({ job, onCancelled }: { job: Job; onCancelled: () => void }) {
  const [asking, setAsking] = useState(false);
  if (isEnded(job)) return null;
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
        <Suspense>
          <CancelModal job={job} onClose={() => setAsking(false)} onCancelled={onCancelled} />
        </Suspense>
      )}
    </>
  );
}
