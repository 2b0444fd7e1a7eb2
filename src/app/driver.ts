/** The configured driver. Only the one in use is loaded: Kubernetes' client costs memory that a lab need not pay. */
import type { Driver } from "../core/driver.ts";
import { fingerprint } from "../core/sha256.ts";
import type { DriverParts } from "./driver_parts.ts";
import type { LabSettings } from "../drivers/lab/settings.ts";

/** Builds the driver of `drivers:`; a Fault leaves when its settings or files cannot be used. */
export async function createDriver(parts: DriverParts): Promise<Driver> {
  const { drivers } = parts.config;
  if (drivers.kubernetes === null) return await createLab(parts, drivers.lab);
  const { createKubernetesDriver } = await import("./kubernetes.ts");
  return await createKubernetesDriver(parts, drivers.kubernetes);
}

async function createLab({ config, phases, clock }: DriverParts, settings: LabSettings): Promise<Driver> {
  const { LabCluster } = await import("../drivers/lab/cluster.ts");
  const { LabDriver } = await import("../drivers/lab/driver.ts");
  const { keepLab, loadLab, snapshotAt } = await import("../drivers/lab/persist.ts");
  const file = snapshotAt(settings.file ?? `${config.state.directory}/lab.json`);
  const state = await loadLab(file) ?? undefined;
  // A simulated pod has neither image nor processors: all of them together are the template that it was made from.
  const template = `${settings.template} ${fingerprint({ images: config.images, tiers: config.tiers })}`;
  const isSensitive = (volume: string): boolean => phases.volumes.get(volume)?.sensitive === "always";
  const cluster = new LabCluster({ clock, settings: { ...settings, template }, state, isSensitive });
  return new LabDriver({ cluster, clock, persist: keepLab(cluster, file) });
}
