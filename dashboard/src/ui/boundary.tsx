import { Component, type ReactNode } from "react";
import { Failure } from "./states";

/** Says that a part of the page broke, where it would otherwise be empty. */
export class Boundary extends Component<{ children: ReactNode }, { broken: boolean }> {
  override state = { broken: false };

  static getDerivedStateFromError(): { broken: boolean } {
    return { broken: true };
  }

  override render(): ReactNode {
    if (!this.state.broken) return this.props.children;
    return (
      <Failure
        problem={{ title: "This part of the page broke.", fix: "Reload the page. Your imports go on.", kind: "page" }}
        onRetry={() => this.setState({ broken: false })}
      />
    );
  }
}
