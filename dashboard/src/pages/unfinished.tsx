import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { useApp } from "../ui/context";
import { Dialog } from "../ui/dialog";
import { bytes, time } from "../ui/format";
import type { Begun } from "../upload/resume";

/** Uploads that were begun before and can go on. */
export function Unfinished({ uploads }: { uploads: Begun[] }) {
  const { uploads: manager } = useApp();
  const [discarding, setDiscarding] = useState<Begun>();
  if (uploads.length === 0) return null;
  return (
    <Container
      header={
        <Header
          variant="h2"
          counter={`(${uploads.length})`}
          description="Choose the same file again to go on with what has arrived. Within six days, or it is forgotten."
        >
          Unfinished uploads
        </Header>
      }
    >
      <SpaceBetween size="s">
        {uploads.map((begun) => (
          <SpaceBetween key={begun.key} direction="horizontal" size="xs" alignItems="center">
            <span className="file-name">{begun.file}</span>
            <Box color="text-body-secondary">
              {bytes(begun.sizeBytes)}, begun {time(begun.at)}
            </Box>
            <Button onClick={() => setDiscarding(begun)} ariaLabel={`Discard the upload of ${begun.file}`}>
              Discard
            </Button>
          </SpaceBetween>
        ))}
      </SpaceBetween>
      {discarding && (
        <Dialog
          title="Discard this upload?"
          action="Discard the upload"
          onAction={() => {
            setDiscarding(undefined);
            void manager.abandon(discarding);
          }}
          otherwise="Keep it"
          onClose={() => setDiscarding(undefined)}
        >
          What has arrived of {discarding.file} is deleted.
        </Dialog>
      )}
    </Container>
  );
}
