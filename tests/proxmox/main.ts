/** Starts a double by hand: `deno run -A tests/proxmox/main.ts --port 8006 --tls`. */
import { MACHINE_CLOCK, MACHINE_RANDOM } from "../../src/machine.ts";
import { makeCertificates } from "./certificate.ts";
import { ProxmoxDouble } from "./double.ts";
import { listen } from "./listener.ts";
import { RECORDED_TOKENS, recordedSite } from "./recorded_site.ts";
import { INSTANT_TIMINGS } from "./state/timings.ts";

const USAGE = "Usage: deno run -A tests/proxmox/main.ts [--port PORT] [--tls] [--instant]";

interface Options {
  port: number;
  isTls: boolean;
  isInstant: boolean;
}

function readOptions(args: string[]): Options | undefined {
  const options: Options = { port: 0, isTls: false, isInstant: false };
  for (let at = 0; at < args.length; at++) {
    if (args[at] === "--tls") options.isTls = true;
    else if (args[at] === "--instant") options.isInstant = true;
    else if (args[at] === "--port" && /^\d{1,5}$/.test(args[at + 1] ?? "")) options.port = Number(args[++at]);
    else return undefined;
  }
  return options;
}

const options = readOptions(Deno.args);
if (options === undefined) {
  console.error(USAGE);
  Deno.exit(2);
}
const double = new ProxmoxDouble({
  clock: MACHINE_CLOCK,
  random: MACHINE_RANDOM,
  site: recordedSite(),
  ...options.isInstant && { timings: INSTANT_TIMINGS },
});
const tls = options.isTls ? await makeCertificates() : undefined;
const { url } = await listen(double, { port: options.port, ...tls !== undefined && { tls } });
console.log(`A double of the Proxmox VE API answers at ${url}/api2/json, with node pve1 and template 9000.`);
if (tls !== undefined) {
  const path = await Deno.makeTempFile({ prefix: "proxmox-double-", suffix: ".pem" });
  await Deno.writeTextFile(path, tls.authority);
  console.log(`Its authority is in ${path}, its fingerprint is ${tls.fingerprint}.`);
}
for (const [name, token] of Object.entries(RECORDED_TOKENS)) {
  console.log(`  ${name.padEnd(8)} PVEAPIToken=${token}`);
}
console.log(
  `Try: curl ${tls === undefined ? "" : "-k "}-H 'Authorization: PVEAPIToken=${RECORDED_TOKENS.broad}' \\`,
);
console.log(`       -d newid=101 -d full=0 -d name=first ${url}/api2/json/nodes/pve1/qemu/9000/clone`);
