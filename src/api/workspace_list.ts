/** Workspaces over all permits, page by page. */
import { z } from "zod";
import { listPermits } from "../store/permits.ts";
import type { ApiDeps } from "./deps.ts";
import { readCursor } from "./cursor.ts";
import type { WorkspacePage, WorkspaceView } from "./schemas/workspaces.ts";
import { readSnapshot, snapshotOf } from "../store/snapshot.ts";
import { workspaceViews } from "./workspace_view.ts";

/** Permits looked at for one page: a filter that few fit makes short pages, never slow ones. */
const PERMITS_PER_PAGE = 100;

/** What of a workspace is asked for. */
export interface WorkspaceWish {
  limit: number;
  cursor?: string;
  permitId?: string;
  kind?: string;
  username?: string;
  status?: string;
}

/** A page ended within this permit after this workspace, or behind the whole permit. */
const CURSOR = z.tuple([z.string(), z.string().nullable()]);

/** A page in the order of permit and key. Problem `invalid-request` for a cursor that is none. */
export async function listWorkspaceViews(deps: ApiDeps, wish: WorkspaceWish): Promise<WorkspacePage> {
  const [permitId, afterKey] = wish.cursor === undefined ? [null, null] : readCursor(CURSOR, wish.cursor);
  const items: WorkspaceView[] = [];
  const take = (views: WorkspaceView[]): string | null => {
    for (const view of views) {
      if (!fits(view, wish)) continue;
      const last = items.at(-1);
      if (items.length >= wish.limit && last !== undefined) return JSON.stringify([last.permitId, last.key]);
      items.push(view);
    }
    return null;
  };
  const only = wish.permitId ?? (afterKey === null ? null : permitId);
  if (only !== null) {
    const snapshot = await readSnapshot(deps, only);
    const views = snapshot === null ? [] : await workspaceViews(deps, snapshot);
    const nextCursor = take(views.filter(({ key }) => afterKey === null || key > afterKey));
    if (nextCursor !== null || wish.permitId !== undefined) return { items, nextCursor };
  }
  const permits = await listPermits(deps.db, {}, { cursor: permitId, limit: PERMITS_PER_PAGE });
  for (const permit of permits.items) {
    const nextCursor = take(await workspaceViews(deps, await snapshotOf(deps, permit)));
    if (nextCursor !== null) return { items, nextCursor };
  }
  return { items, nextCursor: permits.next === null ? null : JSON.stringify([permits.next, null]) };
}

function fits(view: WorkspaceView, { kind, username, status }: WorkspaceWish): boolean {
  return (kind === undefined || view.kind === kind) &&
    (username === undefined || view.username === username) &&
    (status === undefined || view.status === status);
}
