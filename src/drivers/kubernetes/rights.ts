/** What WPS's own account may do, as the API server answers it: every authenticated user may ask. */
import { z } from "zod";
import type { Client } from "./client.ts";

const answerSchema = z.object({
  status: z.object({ allowed: z.boolean().default(false), reason: z.string().optional() }),
});
const rulesSchema = z.object({
  status: z.object({
    incomplete: z.boolean().default(false),
    resourceRules: z.array(z.object({
      verbs: z.array(z.string()),
      apiGroups: z.array(z.string()).nullish(),
      resources: z.array(z.string()).nullish(),
      resourceNames: z.array(z.string()).nullish(),
    })).nullish(),
  }),
});

/** One verb on one kind, in the whole cluster, in a namespace, or on one object. */
export interface Question {
  group: string;
  resource: string;
  verb: string;
  namespace?: string;
  name?: string;
}

/** Asks one question (SelfSubjectAccessReview). */
export async function mayI(client: Client, question: Question, signal: AbortSignal): Promise<boolean> {
  const body = {
    apiVersion: "authorization.k8s.io/v1",
    kind: "SelfSubjectAccessReview",
    spec: { resourceAttributes: question },
  };
  const answer = await client.review("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body, signal);
  return answerSchema.parse(answer).status.allowed;
}

/**
 * Which of these kinds may be listed in a namespace: one question for all of them (SelfSubjectRulesReview), and one for
 * each that is left where an authorizer cannot tell its rules.
 */
export async function listableAmong<K extends { group: string; resource: string }>(
  client: Client,
  kinds: readonly K[],
  namespace: string,
  signal: AbortSignal,
): Promise<Set<K>> {
  if (kinds.length === 0) return new Set();
  const body = {
    apiVersion: "authorization.k8s.io/v1",
    kind: "SelfSubjectRulesReview",
    spec: { namespace },
  };
  const answer = await client.review("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", body, signal);
  const { incomplete, resourceRules } = rulesSchema.parse(answer).status;
  const names = (list: string[] | null | undefined, name: string): boolean =>
    list?.some((one) => one === "*" || one === name) ?? false;
  const granted = new Set(
    kinds.filter(({ group, resource }) =>
      (resourceRules ?? []).some(({ verbs, apiGroups, resources, resourceNames }) =>
        names(verbs, "list") && names(apiGroups, group) && names(resources, resource) &&
        (resourceNames ?? []).length === 0
      )
    ),
  );
  if (!incomplete) return granted;
  await Promise.all(
    kinds.filter((kind) => !granted.has(kind)).map(async (kind) => {
      const { group, resource } = kind;
      if (await mayI(client, { group, resource, verb: "list", namespace }, signal)) granted.add(kind);
    }),
  );
  return granted;
}
