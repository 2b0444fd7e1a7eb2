/** Consolidations that run, ran, or left pods behind. */
import { z } from "zod";
import { taskName } from "../../../core/names.ts";
import type { ObservedTask } from "../../../core/observed.ts";
import { describeRefused } from "../../../core/refusal.ts";
import { isOurs, LABEL, NOTE, note } from "../marks.ts";
import type { MetadataOnly, Stored } from "../wire.ts";
import { finalizersOf, seenOf } from "./scope.ts";
import type { Snapshot } from "./snapshot.ts";
import { troubleOfPod } from "./trouble.ts";

/** Kubernetes keeps no more of a termination message. */
const MESSAGE_MAX = 4096;

function taskKeyOf(object: MetadataOnly, permitId: string): string | null {
  if (!isOurs(object, permitId)) return null;
  const key = note(object, NOTE.volumeKey);
  return key !== null && object.metadata.labels?.[LABEL.task] === taskName(key) ? key : null;
}

/** All tasks, by the key of their uploads. Pods whose Job is gone still show: what runs may still read the uploads. */
export function tasksOf(snapshot: Snapshot): ObservedTask[] {
  const { jobs, pods, permitId } = snapshot;
  const keys = new Set(
    [...jobs, ...pods.filter(isLive)].flatMap((object) => taskKeyOf(object, permitId) ?? []),
  );
  return [...keys].sort().map((key) => {
    const job = jobs.find((candidate) => taskKeyOf(candidate, permitId) === key) ?? null;
    const own = pods.filter((pod) => taskKeyOf(pod, permitId) === key);
    return {
      key,
      name: taskName(key),
      state: job === null ? "failed" : jobState(job),
      ...wordsOf(job === null ? "its Job is gone, its pod is not" : messageOf(job, own)),
      trouble: own.map(troubleOfPod).find((trouble) => trouble !== null) ?? null,
      pods: own.filter(isLive).map(({ metadata }) => metadata.name),
      terminating: terminatingText(job, taskName(key)),
      seen: job === null ? null : seenOf(job),
    };
  });
}

/** A Job that is gone while a pod of it runs is being deleted as well. */
function terminatingText(job: MetadataOnly | null, name: string): string | null {
  if (job !== null && job.metadata.deletionTimestamp === undefined) return null;
  return `Job ${name} is Terminating: ${(job === null ? null : finalizersOf(job)) ?? "its pods are ending"}`;
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

/** The last words of the newest pod that had any, or what the Job itself says of its failure. */
function messageOf({ status }: Stored<"jobs">, pods: Stored<"pods">[]): string | null {
  const newestFirst = [...pods].sort((a, b) =>
    (a.status?.startTime ?? "") < (b.status?.startTime ?? "") ? 1 : -1
  );
  const words = newestFirst.flatMap(({ status }) =>
    status?.containerStatuses?.[0]?.state?.terminated?.message ?? []
  );
  const failed = status?.conditions?.find(({ type, status }) => type === "Failed" && status === "True");
  const text = words[0]?.trim() ?? failed?.message ?? null;
  return text === null || text === "" ? null : text.slice(0, MESSAGE_MAX);
}
