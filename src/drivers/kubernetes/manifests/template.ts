/** What of a workspace's pod comes from the site's settings rather than from the permit. */
import { fingerprint } from "../../../core/sha256.ts";
import { Fault } from "../../../core/fault.ts";
import type { Posture } from "../../../core/phase.ts";
import type { Compute, Image, KubernetesSettings, KubernetesSite, Proxy } from "../settings.ts";

/** Raised when the rendered pod changes for the same inputs: running pods then show as outdated. */
export const TEMPLATE_VERSION = 2;

/** The inputs that, when they change, make a running workspace `outdated` and nothing more (DESIGN 8). */
export interface Template {
  image: Image;
  compute: Compute;
  /** Only for posture `proxied`. */
  proxy: Proxy | null;
  settings: KubernetesSettings;
  singleNode: boolean;
}

/** The template for a kind, tier and posture. Throws a stalled Fault that names the missing setting. */
export function templateOf(
  site: KubernetesSite,
  { kind, tier, posture }: { kind: string; tier: string; posture: Posture },
): Template {
  const image = site.images[kind], compute = site.tiers[tier];
  const refuse = (what: string, key: string): Fault =>
    new Fault("stalled", "invalid", `Cannot render workspace ${kind}: the configuration has no ${what}`, {
      advice: `Set ${key} in wps.yaml and restart, then run wps jobs retry`,
    });
  if (image === undefined) throw refuse(`image for ${kind}`, `images.${kind}`);
  if (compute === undefined) throw refuse(`tier ${tier}`, `tiers.${tier}`);
  if (posture === "proxied" && site.proxy === null) throw refuse("proxy", "network.proxy");
  return {
    image,
    compute,
    proxy: posture === "proxied" ? site.proxy : null,
    settings: site.settings,
    singleNode: site.singleNode,
  };
}

/** Fingerprint of a template, kept beside the pod template; differing from today's: outdated. */
export function templateHash({ image, compute, proxy, settings, singleNode }: Template): string {
  const {
    podGraceSeconds,
    cpuRequestPercent,
    nodeSelector,
    tolerations,
    runtimeClassName,
    spreadPods,
    imagePullSecrets,
  } = settings;
  return fingerprint({
    version: TEMPLATE_VERSION,
    image,
    compute,
    proxy,
    singleNode,
    podGraceSeconds,
    cpuRequestPercent,
    nodeSelector,
    tolerations,
    runtimeClassName: runtimeClassName ?? null,
    spreadPods,
    imagePullSecrets,
  });
}
