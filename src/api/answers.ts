/** How routes declare their answers for the OpenAPI document. */
import type { z } from "@hono/zod-openapi";
import { PROBLEM_JSON } from "./problem.ts";
import { Problem } from "./schemas/problem.ts";

/** A JSON answer. */
export interface JsonAnswer<Schema extends z.ZodType> {
  description: string;
  content: { "application/json": { schema: Schema } };
}

/** An answer of `schema`. */
export function json<Schema extends z.ZodType>(schema: Schema, description: string): JsonAnswer<Schema> {
  return { description, content: { "application/json": { schema } } };
}

/** What every route may answer instead: a problem (RFC 9457). */
export const problems = {
  default: { description: "A problem", content: { [PROBLEM_JSON]: { schema: Problem } } },
} as const;
