/** Cursors of lists in the order of texts: JSON, so that what no page ended with is told from what one did. */
import type { z } from "zod";
import { ProblemError } from "./problem.ts";

/** What a cursor says. Problem `invalid-request` for text that is none. */
export function readCursor<Schema extends z.ZodType>(schema: Schema, text: string): z.infer<Schema> {
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    throw new ProblemError("invalid-request", "Cannot go on from this cursor: no page ended there", {
      reason: "invalid",
      errors: [{ path: "query.cursor", message: "Take nextCursor of the page before" }],
    });
  }
}
