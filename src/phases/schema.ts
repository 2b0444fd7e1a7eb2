/** The shape of a phase file and of volumes.yaml; what must hold between them is in the rules beside this file. */
import { z } from "zod";
import type { Role } from "../core/member.ts";
import { type EventPhase, POSTURES, type StatusPhase, type WorkspaceRule } from "../core/phase.ts";
import type { VolumeRule } from "../core/volume.ts";
import { flag, section, size, text, word } from "../config/fields.ts";

/** The words of `for:` and `of:`, as a site engineer reads them. */
const ROLE_WORDS = {
  "each dataHolder": "dataHolder",
  "each researcher": "researcher",
  preprocessor: "preprocessor",
  reviewer: "reviewer",
  setupReviewer: "setupReviewer",
} as const satisfies Record<string, Role>;

/** How the four events that are flags work (DESIGN 4); a site may change what they mount, not what they do. */
export const EVENT_EFFECTS = {
  "permit.ingress.initiated": "open-ingress",
  "permit.workspace.stop_requested": "stop",
  "permit.workspace.start_requested": "start",
  "permit.deleted": "destroy",
} as const satisfies Record<string, EventPhase["effect"]>;

/** More workspaces or mounts than this in one phase is a mistake, and a pod that no node would take. */
const WORKSPACES_MAX = 16;
const MOUNTS_MAX = 24;
/** The first 16 characters show in names on the platform (core `workspaceName`). */
const KIND = /^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$/;
const LOWER_NAME = "a name of lower-case letters, digits and dashes, at most 32 characters";

function role(): z.ZodPipe<z.ZodEnum, z.ZodTransform<Role, keyof typeof ROLE_WORDS>> {
  return word("each researcher", "each dataHolder", "preprocessor", "reviewer", "setupReviewer")
    .transform((given) => ROLE_WORDS[given]);
}

const mount = section({
  volume: text(KIND, LOWER_NAME),
  of: role().optional(),
  path: text(/^\/[^\0\n]{0,254}$/, "an absolute path of at most 255 characters"),
  mode: word("ro", "rw", "wo"),
}).transform(({ volume, of, path, mode }) => ({ volume, of: of ?? null, path, mode }));

const workspace = section({
  kind: text(KIND, LOWER_NAME),
  for: role(),
  power: word("running", "stopped").default("running"),
  network: word(...POSTURES),
  protocol: word("rdp", "vnc", "sftp").optional(),
  mounts: z.array(mount, { error: "expected a list of mounts" }).max(MOUNTS_MAX, {
    error: `expected at most ${MOUNTS_MAX} mounts`,
  }),
}).transform(({ kind, for: whose, power, network, protocol, mounts }): WorkspaceRule => ({
  kind,
  role: whose,
  power,
  network,
  protocol: protocol ?? (network === "inbound-allowlist" ? "sftp" : "rdp"),
  mounts,
}));

const workspaces = z.array(workspace, { error: "expected a list of workspaces" }).max(WORKSPACES_MAX, {
  error: `expected at most ${WORKSPACES_MAX} workspaces`,
});

const title = text(/^[^\0\n]{1,100}$/, "one line of at most 100 characters");
const description = z.string({ error: "expected text" }).max(4000, {
  error: "expected text of at most 4000 characters",
}).transform((given) => given.trim().replaceAll(/\s+/g, " ")).default("");

/** A file with `status:`. */
export const statusFile: z.ZodType<StatusPhase> = section({
  status: text(/^[A-Z][A-Z0-9_]{0,63}$/, "a status of upper-case letters, digits and underscores"),
  title,
  description,
  workspaces: workspaces.default([]),
  ingress: word("keep", "close").default("close"),
  consolidate: section({ into: text(KIND, "the name of a volume") }).optional(),
  archives: flag().default(false),
}).transform((file): StatusPhase => ({
  status: file.status,
  title: file.title,
  description: file.description,
  workspaces: file.workspaces,
  keepsIngress: file.ingress === "keep",
  consolidatesInto: file.consolidate?.into ?? null,
  archives: file.archives,
}));

/** A file with `event:`. */
export const eventFile: z.ZodType<EventPhase> = section({
  event: word(
    "permit.ingress.initiated",
    "permit.workspace.stop_requested",
    "permit.workspace.start_requested",
    "permit.deleted",
  ),
  title,
  description,
  effect: word("open-ingress", "stop", "start", "destroy"),
  workspaces: workspaces.default([]),
  kinds: z.array(text(KIND, LOWER_NAME), { error: "expected a list of workspace kinds" }).max(WORKSPACES_MAX)
    .default([]),
}).transform((file): EventPhase => file);

const volume = section({
  per: word("permit", "dataHolder", "person", "workspace"),
  sensitive: word("always", "when-tainted"),
  access: word("ReadWriteOnce", "ReadWriteMany"),
  size: size(),
  description,
});

/** volumes.yaml. `default` is a word of the configuration's storage classes, so no volume has that name. */
export const volumesFile: z.ZodType<VolumeRule[]> = section({
  volumes: z.record(
    text(KIND, LOWER_NAME).refine((name) => name !== "default", {
      error: 'a volume cannot be named "default"',
    }),
    volume,
    { error: "expected a mapping of volume names" },
  ),
}).transform(({ volumes }): VolumeRule[] =>
  Object.entries(volumes).map(([name, rule]) => ({ name, ...rule }))
);
