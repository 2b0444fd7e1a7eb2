/** Namespaced kinds that WPS has no name for: custom resources, and what newer API servers bring along. */
import { z } from "zod";
import type { Client } from "./client.ts";
import { listableAmong } from "./rights.ts";
import { groupOf, type OtherKind, type Resource, RESOURCES } from "./wire.ts";

/** Aggregated discovery: all kinds of a cluster in one answer (on by default since Kubernetes 1.27). */
const DISCOVERY = [
  "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
  "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
  "application/json",
].join(",");
/** What Kubernetes keeps of others' objects or of the past: nobody's own work or settings. */
const RECORDS: ReadonlySet<string> = new Set([
  "controllerrevisions.apps",
  "csistoragecapacities.storage.k8s.io",
  "events.events.k8s.io",
]);
/** So many are named in one text; the rest are counted. */
const NAMED_MAX = 10;
/** Kinds that one cluster may have: ten times what large platforms bring along. */
const KINDS_MAX = 5_000;

const discoverySchema = z.object({
  kind: z.literal("APIGroupDiscoveryList"),
  items: z.array(z.object({
    metadata: z.object({ name: z.string() }),
    versions: z.array(z.object({
      version: z.string(),
      freshness: z.string().optional(),
      resources: z.array(z.object({
        resource: z.string(),
        responseKind: z.object({ kind: z.string() }).nullish(),
        scope: z.string(),
        verbs: z.array(z.string()).nullish(),
      })).nullish(),
    })),
  })),
});

/** What may be looked for, and what not. */
export interface OtherKinds {
  listable: OtherKind[];
  /** For a person, e.g. "volumesnapshots.snapshot.storage.k8s.io". */
  unlisted: string[];
}

/** A kind as kubectl and the role's reviewer name it. */
export function nameOfKind({ resource, group }: Pick<OtherKind, "resource" | "group">): string {
  return `${resource}.${group}`;
}

/** Names in one text, the first few of many. */
export function someOf(names: readonly string[]): string {
  const more = names.length - NAMED_MAX;
  return names.slice(0, NAMED_MAX).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/**
 * Asks the API server which kinds a namespace may hold beside those of {@link RESOURCES}, and which of them the account
 * may list there: two requests. What neither can be created nor listed is no object, such as a metric.
 */
export async function readOtherKinds(
  client: Client,
  namespace: string,
  signal: AbortSignal,
): Promise<OtherKinds> {
  const { kinds, unknown } = kindsIn(await client.raw("/apis", signal, DISCOVERY));
  const granted = await listableAmong(client, kinds, namespace, signal);
  return {
    listable: kinds.filter((kind) => granted.has(kind)),
    unlisted: [...kinds.filter((kind) => !granted.has(kind)).map(nameOfKind), ...unknown],
  };
}

/** The kinds of a discovery's answer, each in the version that the server prefers; pure. */
export function kindsIn(answer: unknown): { kinds: OtherKind[]; unknown: string[] } {
  const parsed = discoverySchema.safeParse(answer);
  if (!parsed.success) {
    return { kinds: [], unknown: ["custom resources (the API server is older than 1.27)"] };
  }
  const known = new Set(namesOf(RESOURCES));
  const kinds = new Map<string, OtherKind>();
  const unknown: string[] = [];
  for (const { metadata: { name: group }, versions } of parsed.data.items) {
    for (const { version, freshness, resources } of versions) {
      const apiVersion = `${group}/${version}`;
      if (freshness === "Stale") unknown.push(`all of ${apiVersion} (its server does not answer)`);
      for (const { resource, responseKind, scope, verbs } of resources ?? []) {
        const name = nameOfKind({ resource, group });
        const isKept = (verbs ?? []).includes("list") && (verbs ?? []).includes("create");
        if (scope !== "Namespaced" || !isKept || known.has(name) || RECORDS.has(name) || kinds.has(name)) {
          continue;
        }
        kinds.set(name, { group, apiVersion, resource, kind: responseKind?.kind || resource });
      }
    }
  }
  const found = [...kinds.values()];
  if (found.length > KINDS_MAX) unknown.push(`${found.length - KINDS_MAX} further kinds`);
  return { kinds: found.slice(0, KINDS_MAX), unknown };
}

function namesOf(resources: typeof RESOURCES): string[] {
  // The keys of a record of all of them.
  return (Object.keys(resources) as Resource[]).map((resource) =>
    nameOfKind({ resource, group: groupOf(resource) })
  );
}
