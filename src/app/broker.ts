/** The inbox and, where configured, the broker that fills it. */
import type { Config } from "../config/schema.ts";
import type { Clock, Random } from "../core/clock.ts";
import type { PhaseSet } from "../core/phase.ts";
import type { Delivery, Receipt } from "../intake/delivery.ts";
import { createIntake } from "../intake/group.ts";
import type { Log } from "../log.ts";
import type { Db } from "../store/db.ts";
import type { AcceptDelivery } from "./accept.ts";
import type { PartHealth } from "./health.ts";

/** The ways in. */
export interface Broker {
  accept: AcceptDelivery;
  health(): PartHealth;
  /** Stops consuming, lets the last group commit. */
  stop(): Promise<void>;
}

/** What the ways in work with; `accepted` is called after each commit. */
export interface BrokerParts {
  config: Config;
  db: Db;
  phases: PhaseSet;
  clock: Clock;
  random: Random;
  log: Log;
  accepted(permitIds: string[]): void;
}

/** Opens the inbox and starts consuming; never waits for the broker. */
export function startBroker(parts: BrokerParts): Broker {
  const { config, db, phases, clock } = parts;
  const intake = createIntake({
    db,
    clock,
    rules: { phases, tiers: new Set(Object.keys(config.tiers)), uidRange: config.accounts.uidRange },
    onAccepted: parts.accepted,
  });
  return {
    async accept(delivery: Delivery): Promise<Receipt> {
      const [outcome] = await intake.submit([delivery]);
      if (outcome === undefined) throw new Error("the intake answered nothing");
      if ("fault" in outcome) throw outcome.fault;
      return outcome.receipt;
    },
    health: () => ({
      state: "off",
      detail: "no broker is configured; REST and the command line still serve",
      since: null,
    }),
    stop: () => intake.drain(),
  };
}
