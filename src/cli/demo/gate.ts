/** Holds the service's hands, so that a plan can be shown before it is carried out. */
import type {
  ApplyContext,
  ApplyResult,
  CheckLine,
  Driver,
  Probe,
  ProbeContext,
  Whose,
} from "../../core/driver.ts";
import type { Observed } from "../../core/observed.ts";
import type { Action } from "../../core/step.ts";

/** A driver whose actions wait while the gate is shut; looking is always possible. */
export class Gate implements Driver {
  readonly #driver: Driver;
  #opening: PromiseWithResolvers<void> | null = null;

  constructor(driver: Driver) {
    this.#driver = driver;
  }

  get name(): string {
    return this.#driver.name;
  }

  /** From now on actions wait. */
  shut(): void {
    this.#opening ??= Promise.withResolvers();
  }

  /** Lets waiting actions go. */
  open(): void {
    this.#opening?.resolve();
    this.#opening = null;
  }

  /** See {@link Driver}. */
  observe(permitId: string, signal: AbortSignal): Promise<Observed> {
    return this.#driver.observe(permitId, signal);
  }

  /** See {@link Driver}. */
  async apply(action: Action, context: ApplyContext): Promise<ApplyResult> {
    await this.#opening?.promise;
    return await this.#driver.apply(action, context);
  }

  /** See {@link Driver}. */
  probe(target: { workspaceKey: string; instanceUid: string }, context: ProbeContext): Promise<Probe> {
    return this.#driver.probe(target, context);
  }

  /** See {@link Driver}. */
  watch(changed: (permitId: string, whose: Whose) => void, signal: AbortSignal): Promise<void> {
    return this.#driver.watch(changed, signal);
  }

  /** See {@link Driver}. */
  check(signal: AbortSignal): Promise<CheckLine[]> {
    return this.#driver.check(signal);
  }

  /** See {@link Driver}. */
  list(signal: AbortSignal): Promise<string[]> {
    return this.#driver.list(signal);
  }

  /** See {@link Driver}. */
  close(): Promise<void> {
    return this.#driver.close();
  }
}
