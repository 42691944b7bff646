import Button from "@cloudscape-design/components/button";
import { useLocation } from "wouter";
import { Empty } from "../ui/states";

/** There is no such page. */
export function NotFoundPage() {
  const [, navigate] = useLocation();
  return (
    <Empty title="There is no such page" action={<Button onClick={() => navigate("/upload")}>Go to Upload</Button>}>
      The address is wrong, or the page has moved.
    </Empty>
  );
}
