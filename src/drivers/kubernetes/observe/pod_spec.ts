/** What a pod (or the template of one) really runs with, read from its fields and not from what WPS once meant. */
import type { V1PodSpec } from "@kubernetes/client-node";
import { volumeName } from "../../../core/names.ts";
import { POSTURES } from "../../../core/phase.ts";
import { parseVolumeKey } from "../../../core/volume.ts";
import { type Mount, specHash } from "../../../core/workspace.ts";
import { gateFault } from "../manifests/gate.ts";
import { CONTAINER } from "../manifests/workspace.ts";
import { NOTE } from "../marks.ts";
import type { Wire } from "../wire.ts";
import { gateFaultBeside } from "./gate.ts";
import { z } from "zod";

/** Mounts, and the hash that compares them, the account and the posture with what is wanted. */
export interface PodReading {
  mounts: Mount[];
  /** Its isolation gate stands as it was written. */
  gated: boolean;
  /** See core `specHash`; "altered: …" when the pod is not what WPS writes, so that it never equals a wanted one. */
  specHash: string;
}

const keysSchema = z.array(z.string());

/**
 * Reads a pod's fields. Annotations give only the username, the posture's name and the volumes' keys; each is checked.
 * `tainted`: names of the claims that hold sensitive data; who mounts one has an isolation gate (DESIGN 8).
 */
export function readPodSpec(
  annotations: Record<string, string>,
  spec: Wire<V1PodSpec> | undefined,
  tainted: ReadonlySet<string>,
): PodReading {
  const mounts = readMounts(annotations, spec);
  const gated = gateFault(annotations, spec) === null;
  const container = spec?.containers?.find(({ name }) => name === CONTAINER);
  const env = new Map((container?.env ?? []).map(({ name, value }) => [name, value ?? ""]));
  const username = annotations[NOTE.username] ?? "";
  const uid = spec?.securityContext?.runAsUser ?? -1, gid = spec?.securityContext?.runAsGroup ?? -1;
  const posture = POSTURES.find((known) => known === annotations[NOTE.posture]);
  const own = container?.securityContext;
  const altered = [
    container === undefined ? "no workspace container" : null,
    env.get("WORKSPACE_USER") !== username ? "another username" : null,
    env.get("WORKSPACE_UID") !== `${uid}` || env.get("WORKSPACE_GID") !== `${gid}`
      ? "another uid or gid"
      : null,
    own?.runAsUser !== undefined || own?.runAsGroup !== undefined
      ? "the container runs as somebody else"
      : null,
    posture === undefined || env.has("HTTP_PROXY") !== (posture === "proxied") ? "another posture" : null,
    spec?.hostNetwork === true ? "the node's network" : null,
    gateFaultBeside(tainted, annotations, spec),
  ].filter((text) => text !== null);
  if (posture === undefined || altered.length > 0) {
    return { mounts, gated, specHash: `altered: ${altered.join(", ")}` };
  }
  return { mounts, gated, specHash: specHash({ posture, mounts, account: { username, uid, gid } }) };
}

/** Each mount of a claim in any container. Those of other containers than the workspace show under a path of their own. */
function readMounts(annotations: Record<string, string>, spec: Wire<V1PodSpec> | undefined): Mount[] {
  return mountsIn(spec, readKeys(annotations[NOTE.volumeKeys]));
}

/** The same with the keys of the volumes that it may mount; a claim of any other name shows under its own. */
export function mountsIn(spec: Wire<V1PodSpec> | undefined, keys: string[]): Mount[] {
  const keyOf = new Map(keys.map((key) => [volumeName(key), key]));
  const claims = new Map(
    (spec?.volumes ?? []).flatMap(({ name, persistentVolumeClaim: claim }) =>
      claim === undefined ? [] : [[name, claim] as const]
    ),
  );
  const containers = [
    ...(spec?.initContainers ?? []),
    ...(spec?.containers ?? []),
    ...(spec?.ephemeralContainers ?? []),
  ];
  return containers.flatMap((container) =>
    (container.volumeMounts ?? []).flatMap(({ name, mountPath, readOnly, subPath }): Mount[] => {
      const claim = claims.get(name);
      if (claim === undefined) return [];
      const volumeKey = keyOf.get(claim.claimName) ?? `claim:${claim.claimName}`;
      const path = container.name === CONTAINER ? mountPath : `${container.name}:${mountPath}`;
      return [{
        volume: parseVolumeKey(volumeKey),
        volumeKey,
        path: subPath === undefined ? path : `${path} (${subPath})`,
        mode: readOnly === true || claim.readOnly === true ? "ro" : "rw",
      }];
    })
  );
}

function readKeys(annotation: string | undefined): string[] {
  if (annotation === undefined) return [];
  try {
    return keysSchema.parse(JSON.parse(annotation));
  } catch {
    return []; // then every claim shows under its own name, which no wanted mount has
  }
}
