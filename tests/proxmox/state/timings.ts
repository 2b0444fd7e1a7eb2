/** How long what takes, in the double's time. */

/** Milliseconds, unless a name says otherwise. */
export interface Timings {
  /** Until a refused login is answered. */
  authenticationMs: number;
  /** From the answer that names a task to its first step: what comes in between races with it. */
  forkMs: number;
  /** How long a config file's lock is waited for. */
  lockMs: number;
  /** The same by a clone or a creation, which wait less. */
  cloneLockMs: number;
  /** How long a storage's lock is waited for. */
  storageLockMs: number;
  /** Making an empty or linked volume; the storage is locked meanwhile. */
  allocateMs: number;
  /** Copying a volume without a limit of bandwidth. */
  copyMsPerGiB: number;
  /** Writing a configuration, renaming or freeing a volume, and other short steps of a task. */
  stepMs: number;
  /** From start to a running QEMU. */
  startMs: number;
  /** From stop to no QEMU. */
  stopMs: number;
  /** How long the guest agent is waited for. */
  agentMs: number;
  /** How long a guest is waited for that does not release a device. */
  unplugMs: number;
  /** How long a shutdown without `timeout` waits for the guest. */
  shutdownMs: number;
  /** pvestatd's period, by which `/cluster/resources` lags. */
  statisticsMs: number;
  /** pve-firewall's period, by which changed rules lag. */
  firewallMs: number;
  /** Until another node that is away counts as unreachable. */
  proxyMs: number;
}

/** As recorded; what no recording shows is of its order of magnitude. */
export const RECORDED_TIMINGS: Timings = {
  authenticationMs: 3_000,
  forkMs: 40,
  lockMs: 10_000,
  cloneLockMs: 1_000,
  storageLockMs: 10_000,
  allocateMs: 60,
  copyMsPerGiB: 700,
  stepMs: 150,
  startMs: 700,
  stopMs: 400,
  agentMs: 3_000,
  unplugMs: 17_000,
  shutdownMs: 60_000,
  statisticsMs: 10_000,
  firewallMs: 10_000,
  proxyMs: 3_000,
};

/** Nothing takes time but what waits for somebody: for measuring what a client adds. */
export const INSTANT_TIMINGS: Timings = {
  ...RECORDED_TIMINGS,
  forkMs: 0,
  allocateMs: 0,
  copyMsPerGiB: 0,
  stepMs: 0,
  startMs: 0,
  stopMs: 0,
};
