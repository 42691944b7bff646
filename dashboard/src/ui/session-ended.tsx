import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Modal from "@cloudscape-design/components/modal";
import { useApp } from "./context";

/** Nothing works any more until somebody signs in; what is on the page can still be read. */
export default function SessionEnded({ path }: { path: string }) {
  const { session } = useApp();
  return (
    <Modal
      visible
      header="Your session has ended"
      closeAriaLabel="Close"
      footer={
        <Box float="right">
          <Button variant="primary" onClick={() => void session.signIn(path)}>
            Sign in
          </Button>
        </Box>
      }
    >
      Sign in again to go on where you are. Uploads that were under way go on with what has arrived when you choose the
      same file again.
    </Modal>
  );
}
