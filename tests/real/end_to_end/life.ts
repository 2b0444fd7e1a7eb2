/** One permit as a test leads it: what it sends, what should exist, how it ends. */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { CertificateAnswer } from "../../../src/api/schemas/certificates.ts";
import { certificateFaults, type SignedCertificate } from "../../../src/core/certificate.ts";
import { publicKeyOf } from "../../../src/store/site_key.ts";
import { until } from "../../services/until.ts";
import { nameOf, type PermitView, readView, viewOf } from "./cluster_view.ts";
import type { Expected } from "./expected.ts";
import { judgeHistory } from "./invariants.ts";
import { assertGone, judge, type Judged } from "./judge.ts";
import type { KubeObject } from "./objects.ts";
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

  /** States of its jobs; null: the service does not answer. */
  async jobStates(): Promise<string[] | null> {
    return (await this.#items<{ state: string }>("jobs"))?.map(({ state }) => state) ?? null;
  }

  /** Whether it had jobs, and none is open. */
  async isIdle(): Promise<boolean> {
    const states = await this.jobStates() ?? [];
    return states.length > 0 && states.every((state) => !["queued", "running"].includes(state));
  }

  /** What the service recorded of its messages; null: it does not answer. */
  async recorded(): Promise<{ id: string; verdict: string }[] | null> {
    return await this.#items("events");
  }

  /** Whether each message published for it is on record as accepted, once. */
  async isAccepted(): Promise<boolean> {
    const accepted = (await this.recorded() ?? []).filter(({ verdict }) => verdict === "accepted");
    const published = this.stage.manager.published.filter(({ permitId }) => permitId === this.permitId);
    const ids = published.map(({ messageId }) => messageId);
    return isDeepStrictEqual(accepted.map(({ id }) => id).sort(), ids.sort());
  }

  /** A pod of it by "kind/username". */
  pod(name: string): KubeObject {
    return this.view().pods.find((pod) => nameOf(pod) === name) ?? assert.fail(`no pod of ${name}`);
  }

  async #items<T>(of: "jobs" | "events"): Promise<T[] | null> {
    const path = `/api/v1/${of}?limit=200&permitId=${encodeURIComponent(this.permitId)}`;
    const { ok, body } = await this.stage.service.get(path);
    return ok ? (body as { items: T[] }).items : null; // docs/api.md: a page
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
    await this.#assertCertified(had);
  }

  /** The service's signed word for it: each object that the cluster had at the end is named as seen to be gone. */
  async #assertCertified(had: PermitView): Promise<void> {
    const path = `/api/v1/permits/${encodeURIComponent(this.permitId)}/certificate`;
    const { publicKey, items } = CertificateAnswer.parse((await this.stage.service.get(path)).body);
    assert.ok(publicKey !== null && items.every(({ verdict }) => verdict === "valid"));
    const signed = items.map(({ verdict: _, ...one }) => one as SignedCertificate); // as the schema says
    assert.deepEqual(certificateFaults(signed, publicKeyOf(publicKey.pem, "the service")), []);
    const told = new Map(
      items.flatMap(({ certificate }) => certificate.objects).map((one) => [one.uid, one]),
    );
    const { namespaces, statefulsets, pods, jobs, persistentvolumeclaims, persistentvolumes } = had;
    for (
      const { metadata } of [namespaces, statefulsets, pods, jobs, persistentvolumeclaims, persistentvolumes]
        .flat()
    ) {
      assert.ok(told.get(metadata.uid)?.absent, `${metadata.name} (${metadata.uid}) is certified to be gone`);
    }
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

/** Nothing waits in the broker: each message was acknowledged, and none became a dead letter. */
export async function assertAcknowledged({ rabbit }: Stage): Promise<void> {
  const queues = await rabbit.rabbitmqctl(["-q", "list_queues", "name", "messages"]);
  for (const queue of ["wps.permit-events", "wps.dead-letters"]) {
    assert.match(queues, new RegExp(`^${queue}\\s+0$`, "m"), "every message was acknowledged");
  }
}
