import { chunk } from "./chunk";
import type { DialogProps } from "./dialog-box";

/** Asks somebody whether to do something; its code is loaded with the first question. */
export const Dialog = chunk<DialogProps>(() => import("./dialog-box"), "the question");
