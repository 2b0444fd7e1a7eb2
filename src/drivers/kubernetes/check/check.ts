/** The startup self-check: one line per question, none of which throws. */
import type { CheckLine } from "../../../core/driver.ts";
import { Fault, toFault } from "../../../core/fault.ts";
import type { Client } from "../client.ts";
import { readUsername, readVersion, type ServerVersion } from "../cluster.ts";
import { LABEL, MANAGER } from "../marks.ts";
import type { KubernetesSite } from "../settings.ts";
import { checkAddresses, checkCanaries, checkPolicySupport } from "./network.ts";
import { checkOtherKinds, checkPermissions } from "./permissions.ts";
import { checkStorage } from "./storage.ts";

/** Pod Security admission is part of every API server since this one. */
const MINOR_MIN = 25;
/** Oldest version with all that WPS uses as a stable API (ValidatingAdmissionPolicy). */
const MINOR_GOOD = 30;
/** A name that no permit's namespace has; only ever sent as a dry run. */
const OUTSIDE = "not-of-wps-self-check";

/** Runs all checks. When the API server cannot be reached, that is the only line. */
export async function runChecks(
  client: Client,
  site: KubernetesSite,
  signal: AbortSignal,
): Promise<CheckLine[]> {
  let version: ServerVersion;
  try {
    version = await readVersion(client, signal);
  } catch (thrown) {
    return [failed("cluster", thrown)];
  }
  const lines = await Promise.all([
    guarded("account", async () => await checkAccount(client, signal)),
    guarded("permissions", async () => await checkPermissions(client, site.settings.secretsRole, signal)),
    guarded("other kinds", async () => {
      return await checkOtherKinds(client, () => readUsername(client, signal), signal);
    }),
    guarded("confinement", async () => await checkConfinement(client, signal)),
    guarded("storage", async () => await checkStorage(client, site, signal)),
    guarded("network policy", async () => await checkPolicySupport(client, signal)),
    guarded("canaries", async () => await checkCanaries(client, site, signal)),
    guarded("addresses", async () => await checkAddresses(client, site, signal)),
  ]);
  return [judgeVersion(version), ...lines.flat()];
}

async function guarded(check: string, ask: () => Promise<CheckLine | CheckLine[]>): Promise<CheckLine[]> {
  try {
    const answer = await ask();
    return Array.isArray(answer) ? answer : [answer];
  } catch (thrown) {
    return [failed(check, thrown)];
  }
}

function failed(check: string, thrown: unknown): CheckLine {
  const { message, advice } = toFault(thrown);
  return { check, result: "failed", detail: message, advice: advice ?? "Look at the log" };
}

/** The judgement on the version; pure. */
export function judgeVersion({ text, minor }: ServerVersion): CheckLine {
  const check = "cluster";
  const detail = `Kubernetes ${text}, Pod Security ${minor >= MINOR_MIN ? "built in" : "not built in"}`;
  if (minor < MINOR_MIN) {
    return {
      check,
      result: "failed",
      detail,
      advice: `WPS needs Kubernetes 1.${MINOR_MIN} or newer: without Pod Security pods are not confined`,
    };
  }
  if (minor < MINOR_GOOD) {
    return {
      check,
      result: "warning",
      detail,
      advice: `Use Kubernetes 1.${MINOR_GOOD} or newer: older ones know no ValidatingAdmissionPolicy`,
    };
  }
  return { check, result: "ok", detail, advice: "" };
}

async function checkAccount(client: Client, signal: AbortSignal): Promise<CheckLine> {
  return { check: "account", result: "ok", detail: await readUsername(client, signal), advice: "" };
}

/** RBAC cannot say "only its own namespaces"; whether the admission policy does is tried by a dry run outside of them. */
async function checkConfinement(client: Client, signal: AbortSignal): Promise<CheckLine> {
  const check = "confinement";
  try {
    await client.tryApply("namespaces", {
      metadata: { name: OUTSIDE, labels: { [LABEL.managedBy]: MANAGER } },
    }, signal);
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.reason === "policy-refused") {
      return {
        check,
        result: "ok",
        detail: "an admission policy keeps this account to the namespaces of permits",
        advice: "",
      };
    }
    throw thrown;
  }
  return {
    check,
    result: "warning",
    detail: "no admission policy keeps this account to the namespaces of permits",
    advice: "Apply deploy/kubernetes to the cluster, and let WPS use the account that it names",
  };
}
