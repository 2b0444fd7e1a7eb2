/** The control pods of the canaries' namespace: which one still speaks, and which ones go. */
import { Fault } from "../../core/fault.ts";
import type { Client } from "./client.ts";
import { askingOf, CONTROL_SELECTOR, type ControlAsking } from "./manifests/canaries.ts";
import type { MetadataOnly } from "./wire.ts";

/** Control pods that are this much older than ours are nobody's any more: theirs lasts 30 s. */
const LEFTOVER_MS = 120_000;

/** The control pod that was asked last, by whichever service, if it runs this very script; null: none that can be read. */
export async function newestControl(
  client: Client,
  namespace: string,
  script: string,
  signal: AbortSignal,
): Promise<ControlAsking & { pod: string } | null> {
  const pods = await client.list("pods", { namespace, labels: CONTROL_SELECTOR }, signal);
  const found = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined).flatMap((pod) => {
    const asking = askingOf(pod, script);
    return asking === null ? [] : [{ ...asking, pod: pod.metadata.name }];
  });
  return found.sort((a, b) => b.askedAtMs - a.askedAtMs)[0] ?? null;
}

/**
 * Removes the control pods named, and what crashes left long before `newest` was made; nobody waits for their ends, and a
 * pod that stays ends by its own deadline.
 */
export async function sweepControls(
  client: Client,
  namespace: string,
  { newest, over }: { newest: string; over: readonly string[] },
  signal: AbortSignal,
): Promise<void> {
  try {
    const { items } = await client.listMetadata("pods", { namespace, labels: CONTROL_SELECTOR }, signal);
    const newestMs = createdMs(items.find(({ metadata }) => metadata.name === newest));
    const leavers = items.filter((pod) =>
      over.includes(pod.metadata.name) || createdMs(pod) < newestMs - LEFTOVER_MS
    );
    await Promise.all(
      leavers.map(({ metadata: { name, uid } }) =>
        client.remove("pods", { namespace, name }, { uid }, signal)
      ),
    );
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown;
  }
}

function createdMs(pod: MetadataOnly | undefined): number {
  return Date.parse(pod?.metadata.creationTimestamp ?? "") || 0;
}
