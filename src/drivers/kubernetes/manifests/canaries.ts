/** What WPS has outside of permits: a namespace in which a control pod shows that the canaries are alive. */
import type { V1PodSpec } from "@kubernetes/client-node";
import { z } from "zod";
import { fingerprint } from "../../../core/sha256.ts";
import { LABEL, MANAGER, NOTE, note } from "../marks.ts";
import type { ClusterTraits, KubernetesSite } from "../settings.ts";
import type { Manifest, MetadataOnly, Stored, Wire } from "../wire.ts";
import { gateContainer, linesOf, runsScript } from "./gate.ts";
import { placement, podSecurity } from "./pod.ts";
import { podSecurityLabels } from "./scope.ts";

/** The value of {@link LABEL.component} on everything there. Nothing of it belongs to a permit. */
const COMPONENT = "canaries";
/** StatefulSet and Service of WPS's own canary. */
export const LISTENER = "listener";
/** The TCP port at which it answers. */
export const LISTENER_PORT = 8080;
/** Account of the pods there; it may do nothing and its token is never mounted. */
const ACCOUNT = "canary";
/** The value of {@link LABEL.name} on control pods. */
const CONTROL = "control";
/** nobody: no file of anybody is at hand. */
const NOBODY = { uid: 65534, gid: 65534, fsGroup: 65534 };
/** kubelet ends a control pod that nobody looks after any more. */
const CONTROL_LIFE_SECONDS = 120;

/** What of the site these objects are rendered from. */
export type CanarySite = Pick<KubernetesSite, "settings" | "toolsImage">;

/** Labels of everything in the canaries' namespace. */
function labels(name: string): Record<string, string> {
  return { [LABEL.managedBy]: MANAGER, [LABEL.component]: COMPONENT, [LABEL.name]: name };
}

/** Selects control pods. */
export const CONTROL_SELECTOR =
  `${LABEL.managedBy}=${MANAGER},${LABEL.component}=${COMPONENT},${LABEL.name}=${CONTROL}`;

/** Whether an object is WPS's canaries' (invariant 8). */
export function isOfCanaries({ metadata }: MetadataOnly): boolean {
  return metadata.labels?.[LABEL.managedBy] === MANAGER && metadata.labels[LABEL.component] === COMPONENT;
}

/** What stands there for good. */
export interface CanaryManifests {
  namespace: Manifest<"namespaces">;
  account: Manifest<"serviceaccounts">;
  service: Manifest<"services">;
  listener: Manifest<"statefulsets">;
}

/** Namespace, account, and the listener with its stable address. The list of canaries is in none of them. */
export function canaryManifests(
  script: string,
  site: CanarySite,
  traits: Pick<ClusterTraits, "podSecurityVersion">,
): CanaryManifests {
  const namespace = site.settings.canaryNamespace;
  const own = labels(LISTENER);
  const selected = { [LABEL.component]: COMPONENT, [LABEL.name]: LISTENER };
  const container = gateContainer(LISTENER, script, { mode: "listen", port: LISTENER_PORT }, site);
  const spec: Wire<V1PodSpec> = {
    ...podBase(site),
    containers: [{ ...container, ports: [{ containerPort: LISTENER_PORT, protocol: "TCP" }] }],
  };
  return {
    namespace: {
      metadata: { name: namespace, labels: { ...labels(COMPONENT), ...podSecurityLabels(traits) } },
    },
    account: {
      metadata: { name: ACCOUNT, namespace, labels: labels(ACCOUNT) },
      automountServiceAccountToken: false,
    },
    service: {
      metadata: { name: LISTENER, namespace, labels: own },
      spec: {
        type: "ClusterIP",
        selector: selected,
        ports: [{ name: "tcp", protocol: "TCP", port: LISTENER_PORT, targetPort: LISTENER_PORT }],
      },
    },
    listener: {
      metadata: {
        name: LISTENER,
        namespace,
        labels: own,
        annotations: { [NOTE.templateHash]: fingerprint(JSON.stringify(spec)) },
      },
      spec: {
        replicas: 1,
        serviceName: LISTENER,
        selector: { matchLabels: selected },
        template: { metadata: { labels: own }, spec },
      },
    },
  };
}

/** What a control pod is made for. */
export interface ControlAsking {
  /** On the clock of the service that asks. */
  askedAtMs: number;
  /** One line per canary. */
  lines: string[];
  /** Uids of the pods that were through their gates by then. */
  after: string[];
}

const askingSchema = z.strictObject({ askedAtMs: z.int(), after: z.array(z.string()) });

/** A pod that no policy binds, tries every canary once, and ends. */
export function controlManifest(
  name: string,
  { askedAtMs, lines, after }: ControlAsking,
  script: string,
  site: CanarySite,
): Manifest<"pods"> {
  const said: z.infer<typeof askingSchema> = { askedAtMs, after };
  return {
    metadata: {
      name,
      namespace: site.settings.canaryNamespace,
      labels: labels(CONTROL),
      annotations: { [NOTE.asking]: JSON.stringify(said) },
    },
    spec: {
      ...podBase(site),
      restartPolicy: "Never",
      activeDeadlineSeconds: CONTROL_LIFE_SECONDS,
      containers: [gateContainer(CONTROL, script, { mode: "control", lines }, site)],
    },
  };
}

/** What a stored control pod was made for; null: it does not run this very script, or its annotation cannot be read. */
export function askingOf(pod: Stored<"pods">, script: string): ControlAsking | null {
  const container = pod.spec?.containers[0];
  if (!runsScript(container, script)) return null;
  try {
    const said = askingSchema.parse(JSON.parse(note(pod, NOTE.asking) ?? ""));
    return { ...said, lines: linesOf(container) };
  } catch {
    return null;
  }
}

function podBase({ settings }: CanarySite): Omit<Wire<V1PodSpec>, "containers"> {
  return {
    serviceAccountName: ACCOUNT,
    ...placement(settings),
    terminationGracePeriodSeconds: 1,
    securityContext: podSecurity(NOBODY),
  };
}
