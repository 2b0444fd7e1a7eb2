/** What people and machines do to a site while it works: crashes, full disks, deletions by hand, lost nodes; and the end of it. */
import { volumeName, workspaceName } from "../../src/core/names.ts";
import { LabInside } from "../../src/drivers/lab/inside.ts";
import { LAB_TARGETS } from "../../src/drivers/lab/network.ts";
import { type LabForeign, type LabStuck, STUCK } from "../../src/drivers/lab/operator.ts";
import { type PermitSnapshot, snapshotOf } from "../../src/drivers/lab/snapshot.ts";
import type { FaultKind, Faults } from "./faults.ts";
import type { Process } from "./process.ts";
import type { SeededRandom } from "../seeded_random.ts";
import { Sabotage } from "./sabotage.ts";
import { UNENFORCED_MS, type World } from "./world.ts";

/** Each kind gets a chance this often. */
const TICK_MS = 15_000;
/** How long a state of trouble lasts. */
const TROUBLE_MIN_MS = 1_000, TROUBLE_MAX_MS = 180_000;
/** A frozen process is thawed after this at most: well beyond any lease or deadline of a request. */
const FREEZE_MAX_MS = 400_000;
/** A clock is wrong by this much at most, either way. */
const CLOCK_MAX_MS = 3_600_000;

/** The trouble of one run. */
export class Chaos {
  readonly #inside: LabInside;
  readonly #stuck: [string, LabStuck][] = [];
  /** With what must not change of it. */
  readonly #foreign: [string, LabForeign, string | null][] = [];
  readonly #sabotage: Sabotage;
  readonly #lost: string[] = [];
  #templates = 1;
  #isOver = false;
  readonly #enforceMs: number;
  readonly #seconds: Process[] = [];
  /** What holders, staff and researchers wrote, by permit. */
  readonly #written: { permitId: string; text: string }[] = [];
  /** What holders uploaded beside files. */
  readonly #links: { permitId: string; key: string; path: string }[] = [];

  constructor(
    readonly world: World,
    readonly faults: Faults,
    readonly random: SeededRandom,
    readonly permitIds: readonly string[],
  ) {
    this.#inside = new LabInside(world.cluster);
    this.#sabotage = new Sabotage(world);
    this.#enforceMs = world.cluster.settings.enforceMs;
  }

  /** Lets trouble happen until then. */
  async rage(untilMs: number): Promise<void> {
    const { timeline } = this.world;
    while (timeline.now() < untilMs && this.world.failure === null) {
      await timeline.run(Math.min(untilMs, timeline.now() + this.random.between(1, TICK_MS)));
      this.#tick();
      await this.world.note();
    }
  }

  /** Takes back whatever would stand in the way for ever. */
  heal(): void {
    const { world } = this;
    this.#isOver = true;
    world.disk.isFull = false;
    world.broker.comeUp();
    world.operator.silence([]);
    world.cluster.settings.enforceMs = this.#enforceMs;
    world.cluster.settings.brokenKinds = [];
    for (const process of world.processes) {
      process.life.thaw();
      process.clock.offsetMs = 0;
    }
    for (const second of this.#seconds) second.life.kill();
    for (const [permitId, object] of this.#stuck) attempt(() => world.operator.unstick(permitId, object));
    for (const node of this.#lost) this.#restoreNode(node);
    for (const [permitId, object] of this.#foreign) this.#removeForeign(permitId, object);
    this.#sabotage.comeToAnEnd();
  }

  /** What was written and is nowhere any more, although its permit was not deleted, or is in `held` all the same. */
  losses(held: ReadonlySet<string>): string[] {
    const { world } = this;
    const links = this.#links.filter(({ permitId, key, path }) =>
      (!world.deleted.has(permitId) || held.has(permitId)) && !world.accepted.has(`${permitId} ${key}`) &&
      this.#inside.files(permitId, key)?.[path] === undefined
    ).map(({ permitId, key, path }) => `${permitId}: ${path} of ${key} is lost, and nobody agreed to that`);
    const texts = this.#written.filter(({ permitId, text }) =>
      (!world.deleted.has(permitId) || held.has(permitId)) &&
      !world.cluster.read(({ state }) =>
        Object.values(state.backings).some((backing) =>
          backing.permitId === permitId && Object.values(backing.files).some((file) => file.text === text)
        )
      )
    ).map(({ permitId, text }) => `${permitId}: the file ${text} is lost`);
    return [...links, ...texts];
  }

  #tick(): void {
    this.#write();
    this.#strike("crash-any-time", () => this.world.serving?.life.kill());
    this.#strike("freeze", (random) => this.#freeze(random));
    this.#strike("second-instance", (random) => this.#second(random));
    this.#strike("clock-jump", (random) => this.#jump(random));
    this.#strike("store-full", (random) => this.#fill(random));
    this.#strike("broker-down", (random) => this.#takeBrokerDown(random));
    this.#strike("canaries-silent", (random) => this.#silence(random));
    this.#strike("policy-never", (random) => this.#stopEnforcing(random));
    this.#strike("bad-image", (random) => this.#breakImage(random));
    this.#checkForeign();
    for (const permitId of this.permitIds) this.#trouble(permitId);
  }

  #trouble(permitId: string): void {
    this.#strike("job-cancelled", (random) => {
      const { world } = this;
      void world.cancel(permitId);
      world.timeline.at(random.between(TROUBLE_MIN_MS, TROUBLE_MAX_MS), () => void world.retry(permitId));
    });
    const seen = snapshotOf(this.world.cluster, permitId);
    if (seen.scope === "absent" && this.world.deleted.has(permitId)) {
      this.#strike("namespace-restored", () => this.world.operator.restoreScope(permitId));
    }
    if (seen.scope !== "present") return;
    this.#upload(permitId, seen);
    this.#strike("pod-deleted", (random) => this.#deletePod(permitId, seen, random));
    this.#strike("policy-removed", (random) => this.#removePolicy(permitId, random));
    this.#strike("claim-deleted", (random) => this.#deleteClaim(permitId, seen, random));
    this.#strike("stuck-pod", (random) => this.#stick(permitId, seen, "pod", random));
    this.#strike("stuck-volume", (random) => this.#stick(permitId, seen, "volume", random));
    this.#strike("node-lost", (random) => this.#loseNode(permitId, seen, random));
    this.#strike("foreign-object", (random) => this.#addForeign(permitId, random));
    this.#strike("foreign-policy", (random) => this.#sabotage.addPolicy(permitId, random));
    this.#strike("guard-weakened", () => this.#sabotage.weakenGuard(permitId));
    this.#strike("guard-removed", (random) => this.#removeGuard(permitId, seen, random));
    this.#strike("node-leaks", (random) => this.#sabotage.leak(permitId, random));
  }

  #strike(kind: FaultKind, act: (random: SeededRandom) => void): void {
    if (this.faults.strikes(kind)) attempt(() => act(this.faults.draw(kind)));
  }

  /** Whoever is in a workspace writes where it may. */
  #write(): void {
    for (const permitId of this.permitIds) {
      for (const { of, kind, ready, mounts } of snapshotOf(this.world.cluster, permitId).pods) {
        const writable = mounts.filter(({ mode }) => mode === "rw");
        if (kind === "task" || !ready || writable.length === 0 || !this.random.chance(0.5)) continue;
        const text = `${permitId} ${of} ${this.#written.length}`;
        const path = `${this.random.pick(writable).path}/file-${this.#written.length}`;
        attempt(() => {
          if (this.#inside.writeInside(permitId, of, path, text)) this.#written.push({ permitId, text });
        });
      }
    }
  }

  /** A holder sends what is never copied, as long as the airlock is there. */
  #upload(permitId: string, { pods }: PermitSnapshot): void {
    const keys = pods.filter(({ kind, ready }) => kind === "workspace" && ready)
      .flatMap(({ mounts }) => mounts.filter(({ path }) => path.startsWith("/uploads/")))
      .map(({ volumeKey }) => volumeKey);
    if (keys.length === 0) return;
    this.#strike("link-uploaded", (random) => {
      const key = random.pick(keys), path = `link-${this.#links.length}`;
      const owned = { uid: 1, gid: 1, mode: 0o777 };
      this.#inside.writeFile(permitId, key, path, { text: "", ...owned, link: "/etc/passwd" });
      this.#links.push({ permitId, key, path });
    });
  }

  #freeze(random: SeededRandom): void {
    const process = this.world.serving;
    process?.life.freeze();
    this.world.timeline.at(random.between(1, FREEZE_MAX_MS), () => {
      process?.life.thaw();
      this.world.hindrance.until(this.world.timeline.now());
    });
  }

  /** Beside a service that lives, or that is frozen and comes back. */
  #second(random: SeededRandom): void {
    const { world } = this;
    if (world.serving === undefined || this.#seconds.some(({ life }) => !life.isDead)) return;
    world.timeline.during(() => world.boot(true)).then((second) => {
      this.#seconds.push(second);
      // What it has claimed only a new boot takes over: whoever finds two services on one database ends both.
      second.life.onDeath(() => world.serving?.life.kill());
      if (second.life.isDead) world.serving?.life.kill();
      world.timeline.at(random.between(1, FREEZE_MAX_MS), () => second.life.kill());
    }, (thrown) => world.log.push(`a second service did not start: ${thrown}\n`));
  }

  #jump(random: SeededRandom): void {
    const process = this.world.serving;
    if (process !== undefined) process.clock.offsetMs = random.between(-CLOCK_MAX_MS, CLOCK_MAX_MS);
  }

  #fill(random: SeededRandom): void {
    this.world.fillDisk(random.between(TROUBLE_MIN_MS, TROUBLE_MAX_MS));
  }

  /** All but one or none: then nothing can be proven. */
  #silence(random: SeededRandom): void {
    const { operator } = this.world;
    operator.silence(random.chance(0.5) ? LAB_TARGETS.slice(1) : [...LAB_TARGETS]);
    this.#later(random, () => operator.silence([]));
  }

  /** Policies are taken by the API, and nothing enforces them. */
  #stopEnforcing(random: SeededRandom): void {
    const { settings } = this.world.cluster;
    settings.enforceMs = UNENFORCED_MS;
    this.#later(random, () => settings.enforceMs = this.#enforceMs);
  }

  /** A kind's image cannot be had; the operator mends it by another template, which pods that wait must not outlast. */
  #breakImage(random: SeededRandom): void {
    const { settings } = this.world.cluster;
    settings.brokenKinds = [random.pick(["research", "preprocessing", "airlock", "setup-review"] as const)];
    this.#later(random, () => {
      settings.brokenKinds = [];
      settings.template = `v${++this.#templates}`;
    });
  }

  #takeBrokerDown(random: SeededRandom): void {
    this.world.broker.goDown();
    this.#later(random, () => this.world.broker.comeUp());
  }

  #deletePod(permitId: string, { pods }: PermitSnapshot, random: SeededRandom): void {
    this.world.operator.deletePod(permitId, random.pick(pods).name);
  }

  /** Any of WPS's own policies but the default-deny: see {@link Sabotage.removeGuard}. */
  #removePolicy(permitId: string, random: SeededRandom): void {
    const names = this.world.cluster.read(({ state }) =>
      Object.values(state.scopes).find((scope) => scope.permitId === permitId)?.policies ?? {}
    );
    const own = Object.values(names).filter(({ owned, rules }) => owned && rules.selects !== null);
    this.world.operator.removePolicy(permitId, random.pick(own).name);
  }

  /**
   * At once; or while the service stands still, and a pod that came by itself is ready behind its gate: nothing selects it
   * then, because its workspace's policy was opened for the one before.
   */
  #removeGuard(permitId: string, { pods }: PermitSnapshot, random: SeededRandom): void {
    const { world } = this;
    const { timeline, serving } = world;
    const ready = pods.filter((pod) => pod.kind === "workspace" && pod.ready);
    if (serving === undefined || ready.length === 0 || random.chance(0.5)) {
      return this.#sabotage.removeGuard(permitId);
    }
    const { of, uid, name } = random.pick(ready);
    serving.life.freeze();
    world.operator.deletePod(permitId, name);
    const endMs = timeline.now() + FREEZE_MAX_MS;
    const look = (): void => {
      if (this.#isOver) return;
      const isBack = snapshotOf(world.cluster, permitId).pods.some((pod) =>
        pod.of === of && pod.uid !== uid && pod.ready
      );
      if (!isBack && timeline.now() < endMs) return void timeline.at(TROUBLE_MIN_MS, look);
      attempt(() => this.#sabotage.removeGuard(permitId));
      timeline.at(random.between(TROUBLE_MIN_MS, 5 * TROUBLE_MIN_MS), () => {
        serving.life.thaw();
        world.hindrance.until(timeline.now());
      });
    };
    timeline.at(TROUBLE_MIN_MS, look);
  }

  /** One whose data WPS retains and which no pod mounts: while one does, the claim stays and only a person can help. */
  #deleteClaim(permitId: string, { pods, volumes }: PermitSnapshot, random: SeededRandom): void {
    const mounted = new Set(pods.flatMap(({ mounts }) => mounts.map(({ volumeKey }) => volumeKey)));
    const idle = volumes.filter(({ key, claimed, retained }) => claimed && retained && !mounted.has(key));
    this.world.operator.deleteClaim(permitId, random.pick(idle).key);
  }

  #stick(permitId: string, seen: PermitSnapshot, kind: "pod" | "volume", random: SeededRandom): void {
    const object: LabStuck = kind === "pod"
      ? { kind, name: random.pick(seen.pods).name }
      : { kind, key: random.pick(seen.volumes).key };
    this.world.operator.stick(permitId, object);
    this.#stuck.push([permitId, object]);
    this.#later(random, () => this.world.operator.unstick(permitId, object));
  }

  #loseNode(permitId: string, { pods }: PermitSnapshot, random: SeededRandom): void {
    const { name, node } = random.pick(pods.filter((pod) => pod.node !== null));
    if (node === null) return;
    this.world.operator.loseNode(permitId, name);
    this.#lost.push(node);
    this.#later(random, () => this.#restoreNode(node));
  }

  #restoreNode(name: string): void {
    this.world.cluster.write(null, (world) => {
      const node = world.state.nodes.find((candidate) => candidate.name === name);
      if (node === undefined || node.lostAtMs === null) return;
      node.lostAtMs = null;
      world.schedule("node", "", name, 0);
    });
  }

  #addForeign(permitId: string, random: SeededRandom): void {
    const object: LabForeign = random.pick(
      [
        { kind: "workspace", key: "research/r1" },
        { kind: "volume", key: "outputs" },
        { kind: "claim", name: "somebodys" },
      ] as const,
    );
    if (this.#isTaken(permitId, object)) return;
    this.world.operator.addForeign(permitId, object);
    this.#foreign.push([permitId, object, this.world.operator.foreign(permitId, object)]);
    this.#later(random, () => this.#removeForeign(permitId, object));
  }

  /** The API server takes no second object of a name. */
  #isTaken(permitId: string, object: LabForeign): boolean {
    const scope = this.world.cluster.read(({ state }) =>
      Object.values(state.scopes).find((candidate) => candidate.permitId === permitId)
    );
    if (object.kind === "workspace") return scope?.computes[workspaceName(object.key)] !== undefined;
    if (object.kind === "claim") return scope?.claims[object.name] !== undefined;
    return object.kind === "volume" && scope?.claims[volumeName(object.key)] !== undefined;
  }

  /** Invariant 8: what is not WPS's is left as it is. */
  #checkForeign(): void {
    const { operator, vigilance } = this.world;
    for (const entry of this.#foreign) {
      const [permitId, object, before] = entry;
      const now = operator.foreign(permitId, object);
      if (before === null) continue;
      if (now === null || uidIn(now) !== uidIn(before)) {
        vigilance.failures.push(`invariant 8: ${permitId}: somebody's ${object.kind} is gone: ${before}`);
        entry[2] = null;
        continue;
      }
      // What holds it up is this simulation's doing, as is what this one is compared with.
      if (unstuck(now) === unstuck(before)) continue;
      vigilance.failures.push(
        `invariant 8: ${permitId}: somebody's ${object.kind} was changed: ${before} is ${now}`,
      );
      entry[2] = now;
    }
  }

  /** Whose it was takes it away, once: another one of its name is another one's. */
  #removeForeign(permitId: string, object: LabForeign): void {
    this.#checkForeign();
    const entry = this.#foreign.find((one) => one[0] === permitId && one[1] === object && one[2] !== null);
    if (entry === undefined) return;
    entry[2] = null;
    attempt(() => this.world.operator.removeForeign(permitId, object));
  }

  #later(random: SeededRandom, act: () => void): void {
    this.world.timeline.at(random.between(TROUBLE_MIN_MS, TROUBLE_MAX_MS), () => attempt(act));
  }
}

/** What is meant may be gone by now, and then there is nothing to do. */
function attempt(act: () => void): void {
  try {
    act();
  } catch {
    // Its object is gone.
  }
}

/** Of what LabOperator.foreign says of an object: another one of the same name may have come since. */
function uidIn(text: string): unknown {
  return JSON.parse(text)[0];
}

/** The same without what {@link Chaos} has put on it. */
function unstuck(text: string): string {
  return text.replaceAll(new RegExp(`"${STUCK}",?`, "g"), "");
}
