/** File locks with readers, writers and a time-out, as flock gives them. */
import type { Clock } from "../../../src/core/clock.ts";
import { failure } from "../wire/errors.ts";

/** How a lock is held: shared by several, or alone. */
export type LockMode = "shared" | "exclusive";

/** How to wait for a lock. */
export interface LockWish {
  mode?: LockMode;
  waitMs: number;
  /** Called when it has to be waited for. */
  onWait?: (() => void) | undefined;
}

interface Waiter {
  mode: LockMode;
  grant: () => void;
}

interface FileLock {
  holders: number;
  isExclusive: boolean;
  waiters: Waiter[];
}

/** All locks of a node's files, by path; who came first gets them first. */
export class Locks {
  readonly #clock: Clock;
  readonly #locks = new Map<string, FileLock>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves to its release. Throws the server's words when the lock is not free within `waitMs`. */
  async acquire(path: string, { mode = "exclusive", waitMs, onWait }: LockWish): Promise<() => void> {
    const lock = this.#locks.get(path) ?? { holders: 0, isExclusive: false, waiters: [] };
    this.#locks.set(path, lock);
    if (lock.waiters.length > 0 || !isFree(lock, mode)) {
      onWait?.();
      await this.#wait(path, lock, mode, waitMs);
    } else {
      take(lock, mode);
    }
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      lock.holders--;
      this.#grant(path, lock);
    };
  }

  async #wait(path: string, lock: FileLock, mode: LockMode, waitMs: number): Promise<void> {
    const timeout = new AbortController();
    let isGranted = false;
    const waiter: Waiter = {
      mode,
      grant: () => {
        isGranted = true;
        timeout.abort();
      },
    };
    lock.waiters.push(waiter);
    await this.#clock.sleep(waitMs, timeout.signal);
    if (isGranted) return;
    lock.waiters.splice(lock.waiters.indexOf(waiter), 1);
    this.#grant(path, lock); // others may have waited behind this one only
    throw failure(`can't lock file '${path}' - got timeout`);
  }

  #grant(path: string, lock: FileLock): void {
    for (let next = lock.waiters[0]; next !== undefined && isFree(lock, next.mode); next = lock.waiters[0]) {
      lock.waiters.shift();
      take(lock, next.mode);
      next.grant();
    }
    if (lock.holders === 0 && lock.waiters.length === 0) this.#locks.delete(path);
  }
}

function isFree(lock: FileLock, mode: LockMode): boolean {
  return lock.holders === 0 || (mode === "shared" && !lock.isExclusive);
}

function take(lock: FileLock, mode: LockMode): void {
  lock.holders++;
  lock.isExclusive = mode === "exclusive";
}

/** The lock of a VM's configuration. */
export function configLock(vmid: number): string {
  return `/var/lock/qemu-server/lock-${vmid}.conf`;
}

/** The lock of a storage that is not shared. */
export function storageLock(storage: string): string {
  return `/var/lock/pve-manager/pve-storage-${storage}`;
}
