import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import FileDropzone from "@cloudscape-design/components/file-dropzone";
import FileInput from "@cloudscape-design/components/file-input";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useEffect, useSyncExternalStore } from "react";
import { chunk } from "../ui/chunk";
import { useApp } from "../ui/context";
import { verdictOf } from "../upload/manager";
import { Unfinished } from "./unfinished";
import { UploadList } from "./upload-list";

// Previews are loaded with the first file.
const DraftView = chunk(() => import("./draft"), "the preview");

/** Choose files, look at them, upload them. */
export default function UploadPage() {
  const { config, uploads } = useApp();
  const state = useSyncExternalStore(uploads.subscribe, uploads.snapshot);
  const fitting = state.drafts.filter((draft) => verdictOf(draft, state.uploads) === "fits").length;
  useEffect(() => void uploads.findUnfinished(), [uploads]);
  return (
    <ContentLayout
      header={
        <Header variant="h1" description={`Each row becomes an item of ${config.table}.`}>
          Upload
        </Header>
      }
    >
      <SpaceBetween size="l">
        <Container>
          <FileDropzone onChange={({ detail }) => uploads.choose(detail.value)}>
            <SpaceBetween size="xs" alignItems="center">
              <FileInput
                multiple
                value={[]}
                onChange={({ detail }) => uploads.choose(detail.value)}
                ariaLabel="Choose files to import"
              >
                Choose files
              </FileInput>
              <Box color="text-body-secondary" textAlign="center">
                or drop them here. CSV, TSV, JSON, JSON Lines and DynamoDB JSON, plain, gzip or zstd, of any size.
              </Box>
            </SpaceBetween>
          </FileDropzone>
        </Container>
        {state.drafts.length > 0 && (
          <SpaceBetween size="s">
            <Header
              variant="h2"
              counter={`(${state.drafts.length})`}
              description="Nothing has left this computer yet."
              actions={
                state.drafts.length > 1 &&
                fitting > 0 && (
                  <Button variant="primary" onClick={() => uploads.sendFitting()}>
                    {fitting === state.drafts.length ? `Import all ${fitting}` : `Import the ${fitting} that fit`}
                  </Button>
                )
              }
            >
              Ready to import
            </Header>
            {state.drafts.map((draft, index) => (
              <DraftView key={draft.id} draft={draft} verdict={verdictOf(draft, state.uploads)} first={index === 0} />
            ))}
          </SpaceBetween>
        )}
        <UploadList uploads={state.uploads} />
        <Unfinished uploads={state.unfinished} />
      </SpaceBetween>
    </ContentLayout>
  );
}
