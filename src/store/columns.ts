/** How values lie in the database and how they come out: the schemas that the tables' row schemas are made of. */
import { z } from "zod";

/** What may be bound to a `?`. */
export type Argument = string | number | null | Uint8Array;

/** 0 or 1 to boolean. */
export const flag = z.union([z.literal(0), z.literal(1)]).transform((value) => value === 1);

/** A BLOB column. */
export const bytes = z.instanceof(ArrayBuffer).transform((buffer) => new Uint8Array(buffer));

/** A JSON column, checked against `inner`. */
export function json<Schema extends z.ZodType>(
  inner: Schema,
): z.ZodPipe<z.ZodString, z.ZodTransform<z.output<Schema>, string>> {
  return z.string().transform((text, context): z.output<Schema> => {
    const parsed = inner.safeParse(parseOrUndefined(text));
    if (parsed.success) return parsed.data;
    context.addIssue({ code: "custom", message: `stored JSON is not as expected: ${parsed.error.message}` });
    return z.NEVER;
  });
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Boolean to 0 or 1. */
export function asFlag(value: boolean): 0 | 1 {
  return value ? 1 : 0;
}

/** `?, ?, ?` for `count` arguments. */
export function marks(count: number): string {
  return Array.from({ length: count }, () => "?").join(", ");
}
