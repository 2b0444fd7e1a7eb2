/** Consolidations that run, ran, or left pods behind. */
import { z } from "zod";
import type { IsolationEvidence } from "../../../core/evidence.ts";
import { taskName } from "../../../core/names.ts";
import type { ObservedTask, TaskPod } from "../../../core/observed.ts";
import { describeRefused } from "../../../core/refusal.ts";
import { evidenceOf, parseControl } from "../evidence.ts";
import { taskMarks } from "../manifests/consolidation.ts";
import { gateFault } from "../manifests/gate.ts";
import { isOurs, LABEL, NOTE, note } from "../marks.ts";
import type { MetadataOnly, Stored } from "../wire.ts";
import { gateFaultBeside, gateOf, isPastGate, passedReport } from "./gate.ts";
import { taskNetwork } from "./network.ts";
import { mountsIn } from "./pod_spec.ts";
import { finalizersOf, seenOf } from "./scope.ts";
import type { Snapshot } from "./snapshot.ts";
import { troubleOfPod } from "./trouble.ts";
import { taintedClaims } from "./volumes.ts";

/** Kubernetes keeps no more of a termination message. */
const MESSAGE_MAX = 4096;

function taskKeyOf(object: MetadataOnly, permitId: string): string | null {
  if (!isOurs(object, permitId)) return null;
  const key = note(object, NOTE.volumeKey);
  return key !== null && object.metadata.labels?.[LABEL.task] === taskName(key) ? key : null;
}

/** All tasks, by the key of their uploads. Pods whose Job is gone still show: what runs may still read the uploads. */
export function tasksOf(snapshot: Snapshot): ObservedTask[] {
  const { jobs, permitId } = snapshot;
  const pods = newestFirst(snapshot.pods);
  const tainted = taintedClaims(snapshot);
  const keys = new Set(
    [...jobs, ...pods.filter(isLive)].flatMap((object) => taskKeyOf(object, permitId) ?? []),
  );
  return [...keys].sort().map((key) => {
    const job = jobs.find((candidate) => taskKeyOf(candidate, permitId) === key) ?? null;
    const own = pods.filter((pod) => taskKeyOf(pod, permitId) === key);
    const altered = alteredText(job, own, tainted);
    return {
      key,
      name: taskName(key),
      state: job === null || altered !== null ? "failed" : jobState(job),
      ...wordsOf(altered ?? (job === null ? "its Job is gone, its pod is not" : messageOf(job, own))),
      trouble: troubleIn(own),
      pods: own.filter(isLive).map((pod) => podOf(pod, snapshot)),
      network: taskNetwork(snapshot, [
        job?.spec?.template?.metadata?.labels ?? taskMarks(permitId, key).labels,
        ...own.filter(isLive).map(({ metadata }) => metadata.labels ?? {}),
      ]),
      proof: altered === null ? proofOf(own, snapshot.policies) : null,
      terminating: terminatingText(job, taskName(key)),
      seen: job === null ? null : seenOf(job),
    };
  });
}

/** What a pod may see: by the keys of the permit's claims, since nothing on the pod says them. */
function podOf({ metadata, spec }: Stored<"pods">, { claims, permitId }: Snapshot): TaskPod {
  const keys = claims.filter((claim) => isOurs(claim, permitId)).flatMap((claim) =>
    note(claim, NOTE.volumeKey) ?? []
  );
  const gated = gateFault(metadata.annotations ?? {}, spec) === null;
  return { uid: metadata.uid, name: metadata.name, mounts: mountsIn(spec, keys), gated };
}

/** What the gate of the newest pod that passed one saw; it speaks for that pod alone. `pods`: the newest first. */
function proofOf(pods: Stored<"pods">[], policies: Snapshot["policies"]): IsolationEvidence | null {
  for (const pod of pods) {
    const report = passedReport(pod);
    if (report === null) continue;
    const { name, uid } = pod.metadata;
    const before = parseControl(note(pod, NOTE.canaries));
    return evidenceOf({
      method: "task",
      pod,
      instance: { name, uid },
      report,
      before,
      after: null,
      policies,
    });
  }
  return null;
}

/** A Job that is gone while a pod of it runs is being deleted as well. */
function terminatingText(job: MetadataOnly | null, name: string): string | null {
  if (job !== null && job.metadata.deletionTimestamp === undefined) return null;
  return `Job ${name} is Terminating: ${(job === null ? null : finalizersOf(job)) ?? "its pods are ending"}`;
}

/** The job controller makes another pod only when the last has ended, seconds later. */
function newestFirst(pods: Stored<"pods">[]): Stored<"pods">[] {
  const bornAt = ({ metadata }: Stored<"pods">): string => metadata.creationTimestamp ?? "";
  return [...pods].sort((a, b) => bornAt(a) < bornAt(b) ? 1 : -1);
}

/**
 * Why a task counts as failed whatever its Job says: somebody made it see data without the gate that it was written
 * with. Then it is begun anew, and what it says of its copies is not relied on (invariant 6).
 */
function alteredText(
  job: Stored<"jobs"> | null,
  pods: Stored<"pods">[],
  tainted: ReadonlySet<string>,
): string | null {
  const template = job?.spec?.template;
  const seen = [
    { annotations: template?.metadata?.annotations, spec: template?.spec },
    // One that failed did nothing that counts.
    ...pods.filter(({ status }) => status?.phase !== "Failed").map(({ metadata, spec }) => ({
      annotations: metadata.annotations,
      spec,
    })),
  ];
  const [fault] = seen.flatMap(({ annotations, spec }) =>
    gateFaultBeside(tainted, annotations ?? {}, spec) ?? []
  );
  return fault === undefined ? null : `altered: ${fault}`;
}

/** What keeps the newest pod from its work; until its gate has passed, what the gate of one before it found. */
function troubleIn(newestFirst: Stored<"pods">[]): ObservedTask["trouble"] {
  for (const pod of newestFirst) {
    const trouble = troubleOfPod(pod) ?? troubleOfGate(pod);
    if (trouble !== null || isPastGate(pod)) return trouble;
  }
  return null;
}

/** Its gate has failed: nothing of the consolidation has run. */
function troubleOfGate(pod: Stored<"pods">): ObservedTask["trouble"] {
  const { trouble, text } = gateOf(pod);
  return trouble === null || text === null ? null : { reason: trouble, text };
}

/** A pod that has not ended may still read and write, deleted or not. */
function isLive({ status }: Stored<"pods">): boolean {
  return status?.phase !== "Succeeded" && status?.phase !== "Failed";
}

function jobState({ status }: Stored<"jobs">): ObservedTask["state"] {
  const holds = (wanted: string): boolean =>
    status?.conditions?.some(({ type, status }) => type === wanted && status === "True") ?? false;
  if (holds("Complete")) return "succeeded";
  return holds("Failed") ? "failed" : "running";
}

/** The head of what consolidate.sh says of a list that it refuses; the first lines of the list follow. */
const refusal = z.object({ refused: z.int().positive(), list: z.string().regex(/^[0-9a-f]{64}$/) });

/** A task's last words, read where they are a refused list. */
function wordsOf(text: string | null): Pick<ObservedTask, "message" | "refused"> {
  const [head = "", ...shown] = text?.split("\n") ?? [];
  if (!head.startsWith('{"refused":')) return { message: text };
  const parsed = refusal.safeParse(jsonOf(head));
  if (!parsed.success) return { message: text };
  const { refused: count, list: listHash } = parsed.data;
  return {
    message: describeRefused({ count, shown }),
    refused: { count, shown, listHash },
  };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * What its gate found, the last words of the newest pod that had any, or what the Job itself says of its failure.
 * `pods`: the newest first.
 */
function messageOf({ status }: Stored<"jobs">, pods: Stored<"pods">[]): string | null {
  const trouble = troubleIn(pods);
  const unproven = trouble?.reason === "isolation-unproven" ? trouble.text : null;
  const [words] = pods.flatMap(({ status }) =>
    status?.containerStatuses?.[0]?.state?.terminated?.message ?? []
  );
  const failed = status?.conditions?.find(({ type, status }) => type === "Failed" && status === "True");
  const text = unproven ?? words?.trim() ?? failed?.message ?? null;
  return text === null || text === "" ? null : text.slice(0, MESSAGE_MAX);
}
