/** Options and log of the firewall. */
import { Listed } from "../wire/reply.ts";
import type { Call, CallTable } from "./call.ts";
import { checkDigest, digestOf, readFile, writeFile } from "./firewall_file.ts";

const NOT_OPTIONS = new Set(["delete", "digest", "node", "vmid"]);

/** Only what was set is told. */
function read(call: Call): Record<string, unknown> {
  const { options } = readFile(call);
  const answers = [...options].map(([key, value]) => [key, /^\d+$/.test(value) ? Number(value) : value]);
  return { ...Object.fromEntries(answers), digest: digestOf(options) };
}

function update(call: Call): null {
  const { values } = call;
  checkDigest(call, readFile(call).options);
  const { options } = writeFile(call);
  for (const key of values.list("delete")) options.delete(key);
  for (const key of values.keys()) {
    const value = values.text(key);
    if (!NOT_OPTIONS.has(key) && value !== undefined) options.set(key, value);
  }
  return null;
}

const names = (text: string): unknown => text.split(" ").map((name) => ({ name }));

/** Calls about options, and what is only there to be listed. */
export const FIREWALL_OPTIONS: CallTable = {
  "GET /nodes/{node}/qemu/{vmid}/firewall": () => names("rules aliases ipset refs options"),
  "GET /nodes/{node}/qemu/{vmid}/firewall/options": read,
  "PUT /nodes/{node}/qemu/{vmid}/firewall/options": update,
  "GET /nodes/{node}/qemu/{vmid}/firewall/log": () =>
    new Listed([{ n: 1, t: "unable to open file - No such file or directory" }], 1),
  "GET /cluster/firewall/options": read,
  "PUT /cluster/firewall/options": update,
};
