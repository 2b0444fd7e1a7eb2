/** Accounts for those who come without a uid, and the permit's own group: leased from the site's range (DESIGN 4). */
import { Fault } from "../core/fault.ts";
import { people } from "../core/member.ts";
import { settleAccounts } from "../core/merge.ts";
import { accountKey, type Permit } from "../core/permit.ts";
import type { Tx } from "../store/db.ts";
import { leaseUid } from "../store/leases.ts";

/**
 * The permit with an account for everyone named, and with its fsGroup. Nothing is leased before a workspace can be
 * wanted, nor for a deleted permit. Fault `quota-exceeded`: the range is used up, and nothing was leased.
 */
export async function withAccounts(
  tx: Tx,
  permit: Permit,
  range: readonly [from: number, to: number],
  nowMs: number,
): Promise<Permit> {
  if (permit.deletion !== "none" || (permit.status === null && !permit.ingressOpen)) return permit;
  const { accounts, unleased } = settleAccounts(permit);
  if (unleased.length === 0 && permit.fsGroup !== 0) return { ...permit, accounts };
  const given = people(permit.members).flatMap(({ uid, gid }) => [uid, gid]).filter((value) =>
    value !== undefined
  );
  const avoid = [...given, ...Object.values(accounts).flatMap(({ uid, gid }) => [uid, gid]), permit.fsGroup];
  const lease = (holder: string): Promise<number> =>
    leaseUid(tx, { permitId: permit.permitId, holder, range, avoid, nowMs });
  await tx.run("savepoint leases", []);
  try {
    const fsGroup = permit.fsGroup === 0 ? await lease("fs-group") : permit.fsGroup;
    for (const { username, gid } of unleased) {
      const uid = await lease(`person/${username}`);
      accounts[accountKey(username)] = { username, uid, gid: gid ?? uid };
    }
    await tx.run("release leases", []);
    return { ...permit, accounts, fsGroup };
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.reason === "quota-exceeded") {
      await tx.run("rollback to leases", []);
      await tx.run("release leases", []);
    }
    throw thrown;
  }
}
