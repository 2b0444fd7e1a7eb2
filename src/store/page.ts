/** Pages by cursor: each list function reads one row more than asked to know whether another page follows. */
import { Fault } from "../core/fault.ts";
import { type Argument, asFlag } from "./columns.ts";

/** One page; `next` is the cursor of the next one, null at the end. */
export interface Page<Item> {
  items: Item[];
  next: string | null;
}

/** Where to go on (`next` of the page before; null: at the beginning) and how many items at most. */
export interface PageRequest {
  cursor: string | null;
  limit: number;
}

/** No page is larger, whatever was asked: rows are read and parsed synchronously, a page this long takes some 20 ms. */
export const PAGE_LIMIT_MAX = 500;

/** How many items a request really gets: at least 1, at most {@link PAGE_LIMIT_MAX}. */
export function pageLimit(request: PageRequest): number {
  return Math.min(Math.max(1, Math.trunc(request.limit)), PAGE_LIMIT_MAX);
}

/** A page of `rows`, which were read with a limit of `limit + 1`. */
export function toPage<Item>(rows: Item[], limit: number, cursorOf: (item: Item) => string): Page<Item> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, next: rows.length > limit && last !== undefined ? cursorOf(last) : null };
}

/** A cursor that is a row's number. Throws Fault `invalid` for anything else than a whole number. */
export function numberCursor(cursor: string | null): number | null {
  if (cursor === null) return null;
  if (/^\d{1,15}$/.test(cursor)) return Number(cursor);
  throw badCursor(cursor);
}

/** The Fault `invalid` for a cursor that no page ended with. */
function badCursor(cursor: string): Fault {
  const shown = JSON.stringify(cursor.slice(0, 40));
  return new Fault("stalled", "invalid", `Cannot go on from cursor ${shown}: no page ends there`, {
    advice: "Begin again without a cursor",
  });
}

/** What a condition compares with: one value, several for several marks, or nothing given. */
export type Comparand = Argument | boolean | readonly string[] | undefined;

/**
 * The `where` of the conditions whose value was given; null and undefined do not matter. Only those are written,
 * because SQLite cannot use an index for "? is null or column = ?".
 */
export function matching(
  conditions: readonly (readonly [sql: string, value: Comparand])[],
): { sql: string; args: Argument[] } {
  const given: string[] = [];
  const args: Argument[] = [];
  for (const [sql, value] of conditions) {
    if (value === undefined || value === null) continue;
    given.push(sql);
    if (Array.isArray(value)) args.push(...value);
    else args.push(typeof value === "boolean" ? asFlag(value) : value as Argument);
  }
  return { sql: given.length === 0 ? "" : `where ${given.join(" and ")}`, args };
}
