/**
 * The simulated cluster: state that is evaluated lazily against an injected clock. Whoever looks or writes first
 * lets everything happen that was due, in the order of its time, each with its own instant.
 */
import type { Clock } from "../../core/clock.ts";
import { networkTimer, settleNetwork } from "./network.ts";
import { addNodes, emptyState, type LabScope, type LabState, type LabTimer } from "./objects.ts";
import { nodeChanged, podTimer, settlePods } from "./pods.ts";
import { scopeTimer, settleScope } from "./scopes.ts";
import type { LabSettings } from "./settings.ts";
import { settleTasks, taskTimer } from "./tasks.ts";
import { settleBackings, settleClaims, volumeTimer } from "./volumes.ts";
import { World } from "./world.ts";

/** Volumes that hold sensitive data whatever was done with them: what the built-in volumes.yaml says. */
const SENSITIVE_VOLUMES: readonly string[] = ["uploads", "raw", "prepared", "outputs", "staff-home"];

/** Rounds of the controllers after one change; each round moves every object at most one state on, so few are needed. */
const ROUNDS_MAX = 100;

/** What a cluster is made of. */
export interface LabClusterOptions {
  clock: Clock;
  settings: LabSettings;
  /** From an earlier life; absent: an empty cluster. It is taken over, not copied. */
  state?: LabState;
  /** Whether a volume of that name is sensitive by its rule. */
  isSensitive?: (volume: string) => boolean;
}

/** Told after each single change, at its instant: simulations judge the truth here, at every instant. */
export type ChangeListener = (world: World, permitIds: ReadonlySet<string>) => void;

/** The cluster. It never looks at a clock but the one given, and never draws a random number. */
export class LabCluster {
  readonly settings: LabSettings;
  readonly #clock: Clock;
  readonly #world: World;
  readonly #listeners = new Set<ChangeListener>();

  constructor({ clock, settings, state, isSensitive }: LabClusterOptions) {
    this.settings = settings;
    this.#clock = clock;
    this.#world = new World(
      state ?? emptyState(),
      settings,
      isSensitive ?? ((volume) => SENSITIVE_VOLUMES.includes(volume)),
      clock.now(),
    );
    // The configuration may have more nodes than an earlier life.
    addNodes(this.#world.state, settings.nodes);
  }

  /** Looks at the cluster as it is now. What is handed out must not be changed. */
  read<T>(look: (world: World) => T): T {
    this.advance();
    return look(this.#world);
  }

  /**
   * Changes one namespace (null: nodes, which concern all) now, then lets its controllers react. When `mutate`
   * throws, it must have changed nothing.
   */
  write<T>(scope: string | null, mutate: (world: World) => T): T {
    this.advance();
    return this.#change(scope, () => mutate(this.#world));
  }

  /** Lets everything happen that is due by now. */
  advance(): void {
    const nowMs = this.#clock.now();
    for (let due = this.#world.takeDue(nowMs); due !== null; due = this.#world.takeDue(nowMs)) {
      // A clock that was set back must not let an event happen before its cause.
      this.#world.nowMs = Math.max(this.#world.nowMs, due.atMs);
      this.#change(due.kind === "node" ? null : due.scope, () => this.#happen(due));
    }
    this.#world.nowMs = Math.max(this.#world.nowMs, nowMs);
  }

  /** When the next thing happens by itself, in epoch milliseconds; null: nothing will. */
  nextDueMs(): number | null {
    const { timers } = this.#world.state;
    return timers.length === 0 ? null : Math.min(...timers.map(({ atMs }) => atMs));
  }

  /** Calls `listener` after each change until the returned function is called. It must not write to the cluster. */
  onChange(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The whole state as text for `parseLabState`. */
  toJson(): string {
    return this.read(({ state }) => JSON.stringify(state));
  }

  #happen(timer: LabTimer): void {
    const world = this.#world;
    const scope = world.state.scopes[timer.scope];
    if (timer.kind === "reclaim" || timer.kind === "bind") return volumeTimer(world, scope, timer);
    if (timer.kind === "node") {
      for (const each of Object.values(world.state.scopes)) nodeChanged(world, each);
      return;
    }
    if (scope === undefined) return;
    if (timer.kind === "finish") return taskTimer(world, scope, timer);
    if (timer.kind === "enforce" && scope.uid === timer.uid) return networkTimer(world, scope, timer);
    if (timer.kind === "vanish" && scope.uid === timer.uid) return scopeTimer(world, scope, timer);
    podTimer(world, scope, timer);
  }

  #change<T>(scope: string | null, mutate: () => T): T {
    const world = this.#world;
    const before = world.state.counter;
    const permitsBefore = permitsOf(world, scope);
    const result = mutate();
    if (world.state.counter === before) return result;
    this.#settle(scope);
    const changed = new Set([...permitsBefore, ...permitsOf(world, scope)]);
    for (const listener of this.#listeners) listener(world, changed);
    return result;
  }

  /** Runs the controllers until nothing moves any more. */
  #settle(name: string | null): void {
    const world = this.#world;
    for (let round = 0, before = -1; before !== world.state.counter; round++) {
      if (round > ROUNDS_MAX) {
        throw new Error("Cannot settle the lab: its controllers undo each other's work");
      }
      before = world.state.counter;
      for (const scope of Object.values(world.state.scopes)) {
        if (name === null || scope.name === name) settle(world, scope);
      }
      settleBackings(world);
    }
  }
}

/** The permits that a namespace's objects belong to; null: all of the cluster. */
function permitsOf(world: World, scope: string | null): string[] {
  const all = [
    ...Object.values(world.state.scopes).map(({ name, permitId }) => ({ name, permitId })),
    ...Object.values(world.state.backings).map((backing) => ({
      name: backing.scope,
      permitId: backing.permitId,
    })),
  ];
  return all.filter(({ name }) => scope === null || name === scope).map(({ permitId }) => permitId);
}

function settle(world: World, scope: LabScope): void {
  settlePods(world, scope);
  settleTasks(world, scope);
  settleClaims(world, scope);
  settleNetwork(world, scope);
  settleScope(world, scope);
}
