import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import type { ReactNode } from "react";

export interface DialogProps {
  title: string;
  /** The button that does it. */
  action: string;
  busy?: boolean;
  onAction: () => void;
  /** The button that does not; without it the dialog stays until it is done. */
  otherwise?: string;
  onClose?: () => void;
  children: ReactNode;
}

/** Asks somebody whether to do something. */
export default function DialogBox({
  title,
  action,
  busy = false,
  onAction,
  otherwise,
  onClose,
  children,
}: DialogProps) {
  return (
    <Modal
      visible
      onDismiss={() => onClose?.()}
      header={title}
      closeAriaLabel="Close"
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            {otherwise !== undefined && (
              <Button variant="link" onClick={() => onClose?.()}>
                {otherwise}
              </Button>
            )}
            <Button variant="primary" loading={busy} onClick={onAction}>
              {action}
            </Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="s">{children}</SpaceBetween>
    </Modal>
  );
}
