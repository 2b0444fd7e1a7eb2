/** Lists of objects, read page by page. */
import type { z } from "zod";
import { Fault } from "../../core/fault.ts";
import { asked, checked, listSchema } from "./answers.ts";
import type { ApiRequest } from "./transport.ts";
import { pathOf, type Resource } from "./wire.ts";

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

/** How a request is sent; the answer is parsed JSON. */
export type Send = (request: ApiRequest, signal: AbortSignal) => Promise<unknown>;

/** One list in pages. A page whose continuation expired (410) begins the list anew, once. */
export async function readPages(
  send: Send,
  resource: Resource,
  query: ListQuery,
  accept: string | undefined,
  signal: AbortSignal,
  mayRestart = true,
): Promise<Listed<unknown>> {
  const what = asked("list", resource, { namespace: query.namespace });
  const items: unknown[] = [];
  let next: string | undefined;
  for (let page = 0; page < PAGES_MAX; page++) {
    const request: ApiRequest = {
      method: "GET",
      path: pathOf(resource, { namespace: query.namespace }),
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
      if (isExpired && mayRestart) return await readPages(send, resource, query, accept, signal, false);
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
