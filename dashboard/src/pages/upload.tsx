import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import FileDropzone from "@cloudscape-design/components/file-dropzone";
import FileInput from "@cloudscape-design/components/file-input";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { lazy, Suspense, useSyncExternalStore } from "react";
import { useApp } from "../ui/context";
import { Loading } from "../ui/states";
import { UploadList } from "./upload-list";

// Previews are loaded with the first file.
const DraftView = lazy(() => import("./draft"));

/** Choose files, look at them, upload them. */
export default function UploadPage() {
  const { config, uploads } = useApp();
  const state = useSyncExternalStore(uploads.subscribe, uploads.snapshot);
  const ready = state.drafts.filter((draft) => draft.preview && !draft.preview.failure);
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
                ready.length > 1 && (
                  <Button variant="primary" onClick={() => uploads.sendAll(ready)}>
                    Import all {ready.length}
                  </Button>
                )
              }
            >
              Ready to import
            </Header>
            <Suspense fallback={<Loading what="the preview" />}>
              <SpaceBetween size="s">
                {state.drafts.map((draft, index) => (
                  <DraftView key={draft.id} draft={draft} first={index === 0} />
                ))}
              </SpaceBetween>
            </Suspense>
          </SpaceBetween>
        )}
        <UploadList uploads={state.uploads} />
      </SpaceBetween>
    </ContentLayout>
  );
}
