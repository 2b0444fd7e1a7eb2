/** The whole configuration: its sections, and what must hold between them (DESIGN 10). */
import { z } from "zod";
import type { Tier } from "../core/site.ts";
import { section, text } from "./fields.ts";
import { driversSection, type DriversSettings } from "./sections/drivers.ts";
import {
  brokerSection,
  type BrokerSettings,
  redisSection,
  type RedisSettings,
} from "./sections/messaging.ts";
import { networkSection, type NetworkSettings } from "./sections/network.ts";
import {
  permitsSection,
  type PermitsSettings,
  runnerSection,
  type RunnerSettings,
} from "./sections/runner.ts";
import {
  apiSection,
  type ApiSettings,
  keysSection,
  type KeysSettings,
  listenSection,
  type ListenSettings,
  logSection,
  type LogSettings,
  phasesSection,
  type PhasesSettings,
  stateSection,
  type StateSettings,
} from "./sections/service.ts";
import {
  accountsSection,
  type AccountsSettings,
  type ImageSettings,
  imagesSection,
  tiersSection,
  volumesSection,
  type VolumesSettings,
} from "./sections/workspaces.ts";

/** DESIGN 8: isolation counts as proven only against at least two live canaries. */
const CANARIES_MIN = 2;

/** The checked configuration of a site. Secrets are in `api.key`, `broker.url` and `redis.url` only. */
export interface Config {
  state: StateSettings;
  keys: KeysSettings;
  log: LogSettings;
  listen: ListenSettings;
  api: ApiSettings;
  broker: BrokerSettings | null;
  redis: RedisSettings | null;
  drivers: DriversSettings;
  phases: PhasesSettings;
  network: NetworkSettings;
  accounts: AccountsSettings;
  images: Record<string, ImageSettings>;
  tiers: Record<string, Tier>;
  defaultTier: string;
  volumes: VolumesSettings;
  runner: RunnerSettings;
  permits: PermitsSettings;
}

/** A configuration file's content, secrets already read from their files. */
export const configSchema: z.ZodType<Config> = section({
  state: stateSection,
  keys: keysSection,
  log: logSection,
  listen: listenSection,
  api: apiSection,
  broker: brokerSection,
  redis: redisSection,
  drivers: driversSection,
  phases: phasesSection,
  network: networkSection,
  accounts: accountsSection,
  images: imagesSection,
  tiers: tiersSection,
  defaultTier: text(/^[a-z][a-z0-9-]{0,31}$/, "the name of a tier").optional(),
  volumes: volumesSection,
  runner: runnerSection,
  permits: permitsSection,
}).transform(({ defaultTier, ...given }, context): Config => {
  const names = Object.keys(given.tiers);
  const config = { ...given, defaultTier: defaultTier ?? (names.length === 1 ? names[0] ?? "" : "standard") };
  const refuse = (path: string[], message: string): void => {
    context.addIssue({ code: "custom", path, message });
  };
  if (!names.includes(config.defaultTier)) {
    refuse(["defaultTier"], `expected one of the tiers: ${names.join(", ")}`);
  }
  if (isInside(config.keys.directory, config.state.directory)) {
    refuse(
      ["keys", "directory"],
      "expected a folder outside state.directory: a backup of the state must not hold keys",
    );
  }
  if (config.listen.http !== null && config.api.key === null) {
    refuse(["api"], "expected api.keyFile (or api.key): listen.http serves nobody without a key");
  }
  if (config.drivers.kubernetes !== null) {
    const { gateway, canaries } = config.network;
    if (gateway === null) {
      refuse(["network", "gateway"], "expected the gateway: nobody could reach a workspace");
    }
    if (canaries.length < CANARIES_MIN) {
      const message =
        `expected at least ${CANARIES_MIN} canaries: addresses that an isolated workspace must not reach`;
      refuse(["network", "canaries"], message);
    }
  }
  return config;
});

/** Whether one folder is another, or lies in it. Both are absolute. */
function isInside(inner: string, outer: string): boolean {
  const normal = (path: string): string =>
    new URL(`file://${path.replaceAll(/[?#%]/g, encodeURIComponent)}/`).pathname
      .replaceAll(/\/+/g, "/");
  return normal(inner).startsWith(normal(outer));
}

/** The JSON Schema of a configuration file; `secretFile`, `secret`, `secretUrl` and `readable` mark single keys. */
export function configJsonSchema(): JsonSchema {
  // JSON Schema is plain data; zod types it with more keys than are read here.
  return z.toJSONSchema(configSchema, { io: "input" }) as JsonSchema;
}

/** As much of JSON Schema as the configuration uses. */
export interface JsonSchema {
  type?: string;
  default?: unknown;
  properties?: Record<string, JsonSchema>;
  additionalProperties?: boolean | JsonSchema;
  anyOf?: JsonSchema[];
  items?: JsonSchema;
  secret?: boolean;
  secretUrl?: boolean;
  secretFile?: boolean;
  readable?: boolean;
}
