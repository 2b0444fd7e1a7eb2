/** As much of the Compose Specification as compose.yaml uses; any other key is refused, misspelt ones included. */
import { parse } from "yaml";
import { z } from "zod";

/** Durations as Compose writes them, e.g. "1m30s". */
const duration = z.string().regex(/^(\d+(h|m|s|ms|us))+$/);
/** Sizes of memory and logs, e.g. "512m". */
const size = z.string().regex(/^\d+(b|k|m|g)$/);
const name = z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/);
/** Of names of networks and volumes: those that Compose takes as "this and nothing more". */
const empty = z.strictObject({});

const healthcheck = z.strictObject({
  test: z.tuple([z.enum(["CMD", "CMD-SHELL"]), z.string()], z.string()),
  interval: duration,
  timeout: duration,
  retries: z.int().positive(),
  start_period: duration,
});

const service = z.strictObject({
  image: z.string(),
  build: z.strictObject({ context: z.string(), dockerfile: z.string() }).optional(),
  hostname: name.optional(),
  user: z.string().regex(/^\d+:\d+$/).optional(),
  command: z.array(z.string()).optional(),
  init: z.boolean().optional(),
  restart: z.enum(["no", "always", "on-failure", "unless-stopped"]),
  read_only: z.boolean(),
  cap_drop: z.array(z.string()),
  security_opt: z.array(z.string()),
  logging: z.strictObject({
    driver: z.literal("local"),
    options: z.strictObject({ "max-size": size, "max-file": z.string().regex(/^\d+$/) }),
  }),
  ports: z.array(z.string()).default([]),
  networks: z.array(name),
  // Values must be texts: YAML's true and 8 are refused or rewritten, depending on the version.
  environment: z.record(z.string().regex(/^[A-Z][A-Z0-9_]*$/), z.string()).default({}),
  secrets: z.array(z.union([name, z.strictObject({ source: name, target: z.string() })])).default([]),
  volumes: z.array(z.string().regex(/^[a-z]+:\/[\w/.-]+(:ro)?$/)).default([]),
  tmpfs: z.array(z.string().regex(/^\/[\w/.-]+(:[\w=,]+)?$/)).default([]),
  mem_limit: size,
  stop_grace_period: duration.optional(),
  healthcheck,
});

const composeFile = z.strictObject({
  name,
  services: z.record(name, service),
  networks: z.record(name, z.union([empty, z.strictObject({ internal: z.boolean() })])),
  volumes: z.record(name, empty),
  secrets: z.record(name, z.strictObject({ file: z.string() })),
});

/** A checked Compose file. */
export type ComposeFile = z.output<typeof composeFile>;

/** Reads a Compose file, its anchors resolved and its `x-` parts left out. Throws a ZodError or YAML's own error. */
export function readCompose(text: string): ComposeFile {
  const value = z.record(z.string(), z.unknown()).parse(parse(text, { merge: true, strict: true }));
  return composeFile.parse(
    Object.fromEntries(Object.entries(value).filter(([key]) => !key.startsWith("x-"))),
  );
}

/** Where each secret of a service appears inside of its container, by the file on this machine. */
export function mountedSecrets(file: ComposeFile, serviceName: string): Map<string, string> {
  const mounted = new Map<string, string>();
  for (const secret of file.services[serviceName]?.secrets ?? []) {
    const { source, target } = typeof secret === "string" ? { source: secret, target: secret } : secret;
    const from = file.secrets[source]?.file;
    if (from === undefined) throw new Error(`${serviceName}: there is no secret ${source}`);
    mounted.set(target.startsWith("/") ? target : `/run/secrets/${target}`, from);
  }
  return mounted;
}
