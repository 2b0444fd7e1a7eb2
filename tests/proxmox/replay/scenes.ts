/** What there was before each flow was recorded, and what happened beside its requests. */
import { DoubleClient } from "../client.ts";
import type { ProxmoxDouble } from "../double.ts";
import type { FakeClock } from "../../fake_clock.ts";

/** Where a flow is played. */
export interface Stage {
  double: ProxmoxDouble;
  clock: FakeClock;
  /** Sends in the name of the recordings' `broad` token. */
  broad: DoubleClient;
  root: DoubleClient;
  /** The id that a letter stands for. */
  vmid: (letter: string) => number;
}

/** A flow's surroundings. Everything here is told by the flow's first exchanges or by a note beside one. */
export interface Scene {
  prepare?: (stage: Stage) => Promise<void>;
  /** What somebody did beside the API, or how much time passed, before the exchange of this number. */
  before?: Readonly<Record<number, (stage: Stage) => void | Promise<void>>>;
  /** Exchanges that were sent at the same moment, with when each one arrived: the recording does not tell. */
  together?: ReadonlyArray<{ index: number; arrivedMs: number }>;
}

const QEMU = "/nodes/pve1/qemu";

/** Linked clones of the template, named as in the recordings. */
async function clones({ broad, vmid }: Stage, ...letters: string[]): Promise<void> {
  for (const letter of letters) {
    await broad.run("POST", `${QEMU}/9000/clone`, { newid: vmid(letter), full: 0, name: `ws-${letter}` });
  }
}

/** A linked clone without the firewall file that it has from the template. */
async function bareClones(stage: Stage, ...letters: string[]): Promise<void> {
  await clones(stage, ...letters);
  for (const letter of letters) {
    const firewall = `${QEMU}/${stage.vmid(letter)}/firewall`;
    await stage.broad.run("DELETE", `${firewall}/rules/0`);
    await stage.broad.run("PUT", `${firewall}/options`, { delete: "enable,ipfilter,policy_in,policy_out" });
  }
}

async function start({ broad, vmid }: Stage, letter: string): Promise<void> {
  await broad.run("POST", `${QEMU}/${vmid(letter)}/status/start`);
}

/** So long that every daemon had its round. */
const ROUND_MS = 10_500;

const one = (stage: Stage): Promise<void> => clones(stage, "a");

/** By flow; one without a scene begins with nothing but the template. */
export const SCENES: Readonly<Record<string, Scene>> = {
  capacity: {
    prepare: async (stage) => {
      await clones(stage, "a");
      await stage.clock.advance(ROUND_MS);
    },
    // "right after a clone finished"
    before: { 19: (stage) => clones(stage, "b") },
  },
  "clone-errors": { prepare: one },
  "clone-race": {
    // Two of them before the first task has made the file, two after it; who came first is chance.
    together: [
      { index: 0, arrivedMs: 0 },
      { index: 3, arrivedMs: 10 },
      { index: 1, arrivedMs: 60 },
      { index: 2, arrivedMs: 65 },
    ],
  },
  "clone-parallel": {
    together: [
      { index: 0, arrivedMs: 0 },
      { index: 1, arrivedMs: 2 },
      { index: 2, arrivedMs: 4 },
      { index: 3, arrivedMs: 6 },
    ],
  },
  template: {
    before: {
      // "lock set from the node command line"
      15: ({ double, vmid }) => double.operator.setOption(vmid("t"), "lock", "backup"),
      // the clone after the two refusals found it unlocked
      25: ({ double, vmid }) => double.operator.deleteOption(vmid("t"), "lock"),
    },
  },
  "clone-in-progress": {
    prepare: ({ broad, vmid }) =>
      broad.run("POST", `${QEMU}/9000/clone`, { newid: vmid("s"), full: 1, name: "ws-s" }),
    before: {
      // The first drive was there, of the second one nothing in the configuration.
      2: ({ clock }) => clock.advance(500),
      // 44 of 48 steps of the copy were done, at 6144 KiB/s.
      13: ({ clock }) => clock.advance(147_000),
      // 13 of 48 steps were done.
      22: ({ clock }) => clock.advance(46_500),
    },
  },
  config: { prepare: one },
  "config-errors": { prepare: one },
  "json-body": { prepare: one },
  cloudinit: { prepare: one },
  disk: { prepare: (stage) => clones(stage, "a", "b") },
  "disk-errors": { prepare: (stage) => clones(stage, "a", "b") },
  "disk-running": {
    prepare: async (stage) => {
      await clones(stage, "a", "b");
      await start(stage, "a");
    },
  },
  firewall: { prepare: (stage) => bareClones(stage, "a") },
  power: { prepare: one },
  "start-failure": { prepare: one },
  tasks: {
    // "what is listed belongs to an earlier VM of the same id"
    prepare: async ({ root, vmid }) => {
      await root.run("POST", `${QEMU}/9000/clone`, { newid: vmid("a"), full: 0 });
      await root.run("POST", `${QEMU}/${vmid("a")}/status/stop`);
      await root.run("DELETE", `${QEMU}/${vmid("a")}`);
    },
  },
  protection: {
    prepare: async (stage) => {
      await clones(stage, "a", "b");
      const config = `${QEMU}/${stage.vmid("a")}/config`;
      await stage.broad.run("POST", config, { scsi1: "vmstore:1,format=qcow2" });
      await stage.broad.run("POST", config, { scsi2: "vmstore:1,format=qcow2" });
      await stage.broad.run("PUT", config, { delete: "scsi2" });
    },
  },
  destroy: {
    prepare: async (stage) => {
      await clones(stage, "a", "b", "c");
      const config = `${QEMU}/${stage.vmid("b")}/config`;
      await stage.broad.run("POST", config, { scsi1: "vmstore:1" });
      await stage.broad.run("PUT", config, { delete: "scsi1" });
      await start(stage, "c");
    },
  },
  pools: { prepare: (stage) => clones(stage, "b") },
  "flock-timeout": {
    prepare: one,
    // "Another process holds the config file lock"
    before: { 1: async ({ double, vmid }) => void await double.operator.holdConfig(vmid("a")) },
  },
  "least-privilege": {
    prepare: (stage) => clones(stage, "b"),
  },
  "workspace-lifecycle": {
    prepare: ({ broad }) => broad.run("POST", "/pools", { poolid: "rec-life" }),
    // pvestatd had looked at the keeper
    before: { 46: ({ clock }) => clock.advance(ROUND_MS) },
  },
  "firewall-effect": { prepare: (stage) => bareClones(stage, "a", "b", "c") },
};
