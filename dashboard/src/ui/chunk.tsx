import { type ComponentType, useState } from "react";
import { Show, useLoaded } from "./states";

interface Module<P> {
  default: ComponentType<P>;
}

interface Part<P> {
  read: () => Promise<Module<P>>;
  known: Module<P> | undefined;
  what: string;
}

/**
 * A component whose code is loaded when it is shown first. One that does not come, because the network is down or because
 * a new version of the page has replaced it, says so in its place.
 */
export function chunk<P extends object>(load: () => Promise<Module<P>>, what: string): ComponentType<P> {
  const part: Part<P> = {
    read: async () => {
      part.known ??= await load();
      return part.known;
    },
    known: undefined,
    what,
  };
  return (props) => <Chunk part={part} props={props} />;
}

function Chunk<P extends object>({ part, props }: { part: Part<P>; props: P }) {
  // As it was first: what is shown must not begin anew once the code is known.
  const [known] = useState(part.known);
  return known ? <known.default {...props} /> : <Pending part={part} props={props} />;
}

function Pending<P extends object>({ part, props }: { part: Part<P>; props: P }) {
  const { loaded, reload } = useLoaded(part.read);
  return (
    <Show loaded={loaded} what={part.what} onRetry={reload}>
      {({ default: Component }) => <Component {...props} />}
    </Show>
  );
}
