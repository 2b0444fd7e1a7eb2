/** The people of the demo's permit, and its id. */
import type { DataHolder, Person } from "../../core/member.ts";

/** The permit whose life is played. */
export const PERMIT_ID = "permit-001";

/** Two hospitals; the keys' private halves do not exist any more. */
export const HOLDERS: readonly DataHolder[] = [
  {
    id: "hospital-a",
    username: "hospital-a",
    allowedCidrs: ["203.0.113.7/32"],
    sshPublicKeys: [
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIL4U57TI1kTd3jnNyQgy7u2bRvKKIA4MQ7WJupQVs2n transfer@hospital-a.example",
    ],
  },
  {
    id: "hospital-b",
    username: "hospital-b",
    allowedCidrs: ["198.51.100.0/28"],
    sshPublicKeys: [
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICAEWXIhIwX+WLvq3vaSc2beKbvi+uW7Wm6PAPeiWid/ transfer@hospital-b.example",
    ],
  },
];

/** Two researchers, whom the Permit Manager names with their accounts. */
export const RESEARCHERS: readonly Required<Person>[] = [
  { username: "j.virtanen", uid: 21001, gid: 21001 },
  { username: "l.nowak", uid: 21002, gid: 21002 },
];

/** Staff, who get accounts leased. */
export const STAFF = {
  preprocessor: { username: "m.keller" },
  reviewer: { username: "a.rossi" },
  setupReviewer: { username: "s.dubois" },
} as const;

/** Keys of the staff's workspaces. */
export const STAFF_KEYS = {
  preprocessing: `preprocessing/${STAFF.preprocessor.username}`,
  preparationReview: `preparation-review/${STAFF.reviewer.username}`,
  setupReview: `setup-review/${STAFF.setupReviewer.username}`,
} as const;
/** Keys of the researchers' workspaces. */
export const RESEARCH_KEYS: readonly string[] = RESEARCHERS.map(({ username }) => `research/${username}`);
