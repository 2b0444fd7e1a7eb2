/** Lists of objects, read page by page. */
import type { z } from "zod";
import { Fault } from "../../core/fault.ts";
import { checked, listSchema } from "./answers.ts";
import type { Asked } from "./faults.ts";
import type { ApiRequest } from "./transport.ts";

/** A page keeps the API server's answer to a few megabytes; client-go's default, too. */
const PAGE_LIMIT = 500;
/** 20,000 objects of one kind in one answer is far beyond what 200 members of a permit, or 1,000 permits, make. */
const PAGES_MAX = 40;

/** What narrows a list. `labels` and `fields` are selectors in the API's own text form. */
export interface ListQuery {
  namespace?: string;
  labels?: string;
  fields?: string;
}

/** A list and the version it stands for: where a watch goes on. */
export interface Listed<T> {
  items: T[];
  resourceVersion: string;
}

/** What is listed: its path, and the question in words. */
export interface ListPlace {
  path: string;
  asked: Asked;
}

/** How a request is sent; the answer is parsed JSON. */
export type Send = (request: ApiRequest, signal: AbortSignal) => Promise<unknown>;

/** One list in pages. A page whose continuation expired (410) begins the list anew, once. */
export async function readPages(
  send: Send,
  place: ListPlace,
  query: Omit<ListQuery, "namespace">,
  accept: string | undefined,
  signal: AbortSignal,
  mayRestart = true,
): Promise<Listed<unknown>> {
  const { path, asked: what } = place;
  const items: unknown[] = [];
  let next: string | undefined;
  for (let page = 0; page < PAGES_MAX; page++) {
    const request: ApiRequest = {
      method: "GET",
      path,
      query: {
        ...selectors(query),
        limit: `${PAGE_LIMIT}`,
        ...(next === undefined ? {} : { continue: next }),
      },
      accept,
      asked: what,
    };
    let list: z.infer<typeof listSchema>;
    try {
      list = checked(listSchema, await send(request, signal), what);
    } catch (thrown) {
      const isExpired = thrown instanceof Fault && thrown.reason === "conflict" && page > 0;
      if (isExpired && mayRestart) return await readPages(send, place, query, accept, signal, false);
      throw thrown;
    }
    items.push(...list.items);
    next = list.metadata.continue;
    if (next === undefined || next === "") return { items, resourceVersion: list.metadata.resourceVersion };
  }
  const most = PAGES_MAX * PAGE_LIMIT;
  throw new Fault("stalled", "invalid", `Cannot list ${what.target}: there are more than ${most}`, {
    target: what.target,
    advice: "Find out what makes so many of them",
  });
}

/** A query's selectors as the API's parameters. */
export function selectors({ labels, fields }: ListQuery): Record<string, string> {
  return {
    ...(labels === undefined ? {} : { labelSelector: labels }),
    ...(fields === undefined ? {} : { fieldSelector: fields }),
  };
}
