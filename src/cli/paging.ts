/** Lists of any length over the API's pages. */
import { query, type ServiceClient } from "./client.ts";

/** Rows of one page at most; the API's own bound. */
const PAGE_MAX = 200;

interface Page<Item> {
  items: Item[];
  nextCursor: string | null;
}

/** Rows that were asked for, and whether there are others. */
export interface Listing<Item> {
  items: Item[];
  hasMore: boolean;
}

/** The first `limit` rows of a list, page by page. */
export async function listAll<Item>(
  client: ServiceClient,
  path: string,
  filters: Record<string, string | number | boolean | undefined>,
  limit: number,
): Promise<Listing<Item>> {
  const items: Item[] = [];
  let cursor: string | undefined;
  do {
    const size = Math.min(PAGE_MAX, limit - items.length);
    const page: Page<Item> = await client.get(`${path}${query({ ...filters, limit: size, cursor })}`);
    items.push(...page.items);
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined && items.length < limit);
  return { items, hasMore: cursor !== undefined };
}

/** What a person should know of a list that was cut; null: it is whole. */
export function moreText({ items, hasMore }: Listing<unknown>): string | null {
  return hasMore ? `only the first ${items.length} are shown; --limit shows more` : null;
}
