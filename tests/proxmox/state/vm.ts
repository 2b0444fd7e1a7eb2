/** A virtual machine: its configuration file, what waits for the next start, and whether it runs. */
import { createHash } from "node:crypto";
import { failure } from "../wire/errors.ts";
import type { PoweredGuest } from "../guest/powered.ts";

/** A saved configuration. */
export interface Snapshot {
  config: Map<string, string>;
  createdMs: number;
  description: string | undefined;
  parent: string | undefined;
}

/** One VM. Values are texts, as in the file. */
export interface Vm {
  readonly id: number;
  node: string;
  /** What is in force. */
  config: Map<string, string>;
  /** What will be in force after the next stop. */
  pending: Map<string, string>;
  /** What will be removed then, and whether the volume goes, too. */
  pendingDelete: Map<string, boolean>;
  snapshots: Map<string, Snapshot>;
  /** Present while QEMU runs. */
  power: PoweredGuest | undefined;
}

/** A VM with this configuration, switched off. */
export function newVm(id: number, node: string, config: Iterable<[string, string]>): Vm {
  return {
    id,
    node,
    config: new Map(config),
    pending: new Map(),
    pendingDelete: new Map(),
    snapshots: new Map(),
    power: undefined,
  };
}

/** 40 hex digits for anything that JSON can write. */
export function sha1(content: unknown): string {
  return createHash("sha1").update(JSON.stringify(content)).digest("hex");
}

/** The configuration's digest: it changes with every change of the file, pending ones included. */
export function configDigest({ config, pending, pendingDelete, snapshots }: Vm): string {
  const sorted = (map: Map<string, unknown>): unknown => [...map].sort(([a], [b]) => a < b ? -1 : 1);
  return sha1([sorted(config), sorted(pending), sorted(pendingDelete), [...snapshots.keys()].sort()]);
}

/** What the configuration will be: pending values are taken for set, pending removals for done. */
export function comingConfig({ config, pending, pendingDelete }: Vm): Map<string, string> {
  const coming = new Map([...config, ...pending]);
  for (const key of pendingDelete.keys()) coming.delete(key);
  return coming;
}

/** A marker in the configuration that somebody works on the VM. Throws when there is one. */
export function checkMarker(vm: Vm): void {
  const lock = vm.config.get("lock");
  if (lock !== undefined) throw failure(`VM is locked (${lock})`);
}

/** Throws when the VM is protected against being removed, or losing what `refusal` names. */
export function checkProtection(vm: Vm, refusal: string): void {
  if (vm.config.get("protection") === "1") throw failure(`${refusal} - protection mode enabled`);
}

/** Whether it is a template. */
export function isTemplate(vm: Vm): boolean {
  return vm.config.get("template") === "1";
}
