/** Opens sealed secrets for the API; the runner makes them. */
import type { OpenSecrets } from "../api/deps.ts";
import { hostKeyContext, passwordContext, type Sealer } from "../runner/vault.ts";
import type { Db } from "../store/db.ts";
import { readSealedHostKey, readSealedPassword } from "../store/secrets.ts";

/** Null where nothing is sealed; a stalled Fault where the key does not fit. */
export function openSecrets(db: Db, sealer: Sealer): OpenSecrets {
  return {
    async password(permitId, workspaceKey): Promise<string | null> {
      const sealed = await readSealedPassword(db, permitId, workspaceKey);
      return sealed === null ? null : await sealer.open(sealed, passwordContext(permitId, workspaceKey));
    },
    async hostKey(permitId, holder): Promise<string | null> {
      const sealed = await readSealedHostKey(db, permitId, holder);
      return sealed === null ? null : await sealer.open(sealed, hostKeyContext(permitId, holder));
    },
  };
}
