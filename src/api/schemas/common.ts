/** Shapes that several routes share. Times leave as ISO 8601 instants in UTC, durations as milliseconds. */
import { z } from "@hono/zod-openapi";

/** Rows of a page where the caller names no number. */
const PAGE_DEFAULT = 50;
/** Rows of a page at most: a page of the largest rows stays near 1 MiB. */
export const PAGE_MAX = 200;
/** Characters of a permit id, as the intake bounds it. */
export const PERMIT_ID_MAX = 256;
/** Characters of any filter in a query string. */
const FILTER_MAX = 256;
/** Characters of a cursor: JSON of a permit id and a workspace's key at most. */
const CURSOR_MAX = 3072;

/** An ISO 8601 instant in UTC. */
export const Instant = z.iso.datetime().openapi({ example: "2026-11-22T10:00:00.000Z" });

/** Free text of a filter. */
export const FilterText = z.string().min(1).max(FILTER_MAX);

/** A filter of true or false. */
export const Flag = z.enum(["true", "false"]).transform((word) => word === "true");

/** The path of everything under one permit; the id is percent-encoded, slashes included. */
export const PermitPath = z.object({
  permitId: z.string().min(1).max(PERMIT_ID_MAX).openapi({ example: "permit-001" }),
});

/** The header of every POST; `once` checks and uses it. */
export const IdempotencyHeader = z.object({
  "idempotency-key": z.string().optional()
    .openapi({ description: "Makes a repetition harmless for 24 h: 1 to 255 visible ASCII characters" }),
});

/** A whole number in a URL; what else comes is told what is expected. `max` absent: the largest exact one. */
export function wholeNumber(min: number, max: number = Number.MAX_SAFE_INTEGER): z.ZodCoercedNumber {
  const bounds = max === Number.MAX_SAFE_INTEGER ? `, ${min} or more` : ` from ${min} to ${max}`;
  const error = (): string => `expected a whole number${bounds}`;
  return z.coerce.number({ error }).int({ error, abort: true }).min(min, { error }).max(max, { error });
}

/**
 * The query of a route. Parameters that it does not know are refused, because a misspelt filter must not look as if it
 * had filtered; the reason names those that there are.
 */
export function querySchema<Shape extends z.ZodRawShape>(shape: Shape): z.ZodObject<Shape, z.core.$strict> {
  const known = Object.keys(shape).join(", ");
  const reason = `is not a parameter of this route; ${known === "" ? "it takes none" : `known: ${known}`}`;
  return z.strictObject(shape, {
    error: ({ code }) => code === "unrecognized_keys" ? reason : undefined,
  });
}

/** The query parameters of every list. */
export const pageQuery = {
  limit: wholeNumber(1, PAGE_MAX).default(PAGE_DEFAULT)
    .openapi({ description: `Rows in the answer, 1 to ${PAGE_MAX}` }),
  cursor: z.string().min(1).max(CURSOR_MAX).optional()
    .openapi({ description: "`nextCursor` of the page before; absent: the first page" }),
};

/** The same for lists that are in the order of numbers. */
export const numberedPageQuery = {
  limit: pageQuery.limit,
  cursor: z.string().regex(/^\d{1,15}$/, "Take nextCursor of the page before").optional(),
};

/** A page of `item`: `nextCursor` is null on the last page. */
export function page<Item extends z.ZodType>(item: Item): z.ZodObject<{
  items: z.ZodArray<Item>;
  nextCursor: z.ZodNullable<z.ZodString>;
}> {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable() });
}
