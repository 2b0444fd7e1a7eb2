/** One permit as a test leads it: what it sends, what should exist, how it ends. */
import assert from "node:assert/strict";
import { until } from "../../services/until.ts";
import { type PermitView, readView, viewOf } from "./cluster_view.ts";
import type { Expected } from "./expected.ts";
import { judgeHistory } from "./invariants.ts";
import { assertGone, judge, type Judged } from "./judge.ts";
import { isGone, type Stage } from "./stage.ts";

/** The namespace controller waits 5 s of its own; a busy machine makes many namespaces queue. */
const GONE_MS = 120_000;

/** A permit's way through its phases. */
export class Life {
  readonly permitId: string;
  deletedAtMs: number | null = null;
  /** What should exist as volumes so far. */
  volumes: Record<string, "tainted" | "clean"> = {};

  constructor(readonly stage: Stage, label: string) {
    this.permitId = stage.newPermit(label);
  }

  async send(type: string, body: Record<string, unknown> = {}): Promise<void> {
    await this.stage.manager.publish({ type, permitId: this.permitId, body });
  }

  async status(status: string, more: Record<string, unknown> = {}): Promise<void> {
    await this.send("permit.status.updated", { status, ...more });
  }

  async judge(workspaces: Expected["workspaces"]): Promise<Judged> {
    return await judge(this.stage, this.permitId, { workspaces, volumes: this.volumes });
  }

  /** Deletes the permit and judges that nothing of it is left. */
  async end(): Promise<void> {
    const had = await readView(this.stage.cluster, this.permitId);
    this.deletedAtMs = Date.now();
    await this.send("permit.deleted");
    const gone = (): boolean => isGone(this.stage, this.permitId, had.namespace ?? "");
    await until(`${this.permitId} is gone`, gone, GONE_MS);
    await assertGone(this.stage, this.permitId, had);
    await until("the service says so", async () => await this.says() === "DESTROYED");
  }

  /** The service's own word; what is judged is the cluster. */
  async says(): Promise<unknown> {
    const path = `/api/v1/workspaces/${encodeURIComponent(this.permitId)}/status`;
    const { body } = await this.stage.service.get(path);
    return (body as { status: unknown }).status; // the blueprint's answer
  }

  view(): PermitView {
    return viewOf(this.stage.history, this.permitId);
  }
}

/** Judges each instant of what happened to these permits. */
export function assertInvariants(stage: Stage, lives: Life[]): void {
  const permits = new Map(lives.map(({ permitId, deletedAtMs }) => [permitId, { deletedAtMs }]));
  const judgement = judgeHistory(stage.history.ordered(), permits, stage.site);
  assert.deepEqual(judgement.violations, [], "invariants at each instant");
  assert.ok(judgement.withData > 0 && judgement.withWayOut > 0, JSON.stringify(judgement));
}
