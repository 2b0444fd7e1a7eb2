/** The Kubernetes driver from the configuration: the site's sections in the driver's own words. */
import type { NetworkSettings } from "../config/sections/network.ts";
import { Fault } from "../core/fault.ts";
import type { Driver } from "../core/driver.ts";
import { KubernetesDriver } from "../drivers/kubernetes/driver.ts";
import type { Gateway, KubernetesSettings } from "../drivers/kubernetes/settings.ts";
import type { DriverParts } from "./driver_parts.ts";

/** Builds the driver; it connects on first use. A stalled Fault leaves where a section that it needs is missing. */
export function createKubernetesDriver(parts: DriverParts, settings: KubernetesSettings): Driver {
  const { config, phases, clock, random } = parts;
  const { tools, ...images } = config.images;
  if (tools === undefined) throw missing("images.tools", "the image that consolidates uploads");
  const { proxy } = config.network;
  const site = {
    settings,
    images,
    toolsImage: tools,
    gateway: gatewayOf(config.network),
    proxy: proxy === null ? null : { url: proxy.url, cidr: proxy.cidr },
    canaries: config.network.canaries,
    tiers: config.tiers,
    singleNode: config.volumes.singleNode,
    volumes: Object.fromEntries([...phases.volumes].map(([name, rule]) => [name, rule.access])),
  };
  return new KubernetesDriver(site, {
    clock,
    random,
    readText: (path) => Deno.readTextFile(path),
    env: (name) => Deno.env.get(name),
  });
}

function gatewayOf({ gateway }: NetworkSettings): Gateway {
  if (gateway === null) throw missing("network.gateway", "who lets people in to workspaces");
  if (gateway.by === "address") return { cidr: gateway.cidr };
  return { namespaceSelector: gateway.namespaceSelector, podSelector: gateway.podSelector };
}

function missing(key: string, what: string): Fault {
  return new Fault("stalled", "invalid", `Cannot use Kubernetes: ${key} is not configured (${what})`, {
    advice: "Run wps config check",
  });
}
