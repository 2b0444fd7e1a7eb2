/** From what the API server (or the way to it) answered to one of the four dispositions of DESIGN 6. */
import { type Disposition, Fault, type Reason } from "../../core/fault.ts";
import { type Answer, MESSAGE_MAX } from "./status.ts";

/** What was asked, for the message. */
export interface Asked {
  /** As RBAC names it: get, list, watch, create, patch, delete. */
  verb: string;
  /** Plural name of the kind, e.g. "statefulsets"; "" for paths that are no objects. */
  resource: string;
  /** The object for a person, e.g. "StatefulSet wps-p7/research-a". */
  target: string;
  /** The object holds secrets: the server's prose may quote them and is not repeated. */
  secret: boolean;
}

interface Row {
  /** Why this row exists, for the reader of the table and of its test. */
  means: string;
  when: (answer: Answer) => boolean;
  disposition: Disposition;
  reason: Reason;
  advice: (asked: Asked, answer: Answer) => string;
}

const has = (answer: Answer, text: RegExp): boolean => text.test(answer.message);
const caused = (answer: Answer, reason: string): boolean =>
  answer.causes.some((cause) => cause.reason === reason);

/** First row that fits decides. Order matters: the same HTTP status carries several meanings. */
export const FAULT_ROWS: readonly Row[] = [
  {
    means: "the credentials expired; the client has read them again and was refused again",
    when: ({ status }) => status === 401,
    disposition: "retry",
    reason: "denied",
    advice: () =>
      "Renew the token or certificate that drivers.kubernetes names; it is read again at each attempt",
  },
  {
    means: "a namespace that is going away takes no new objects",
    when: (answer) => caused(answer, "NamespaceTerminating") || has(answer, /because it is being terminated/),
    disposition: "wait",
    reason: "terminating",
    advice: () => "Wait until the namespace is gone; its status names what holds it",
  },
  {
    means: "an object of that name is on its way out",
    when: (answer) => has(answer, /object is being deleted/),
    disposition: "wait",
    reason: "terminating",
    advice: ({ target }) => `Wait until the old ${target} is gone; its finalizers name what holds it`,
  },
  {
    means: "a quota is used up",
    when: (answer) => answer.status === 403 && has(answer, /exceeded quota/),
    disposition: "wait",
    reason: "quota-exceeded",
    advice: () => "Raise the quota that the message names, or free what it counts",
  },
  {
    means: "Pod Security, an admission policy or webhook refused it (webhooks choose their own status)",
    when: (answer) =>
      answer.status < 500 &&
      has(
        answer,
        /violates PodSecurity|ValidatingAdmissionPolicy|admission webhook .* denied the request|(minimum|maximum) \w+ usage per/,
      ),
    disposition: "stalled",
    reason: "policy-refused",
    advice: ({ target }) =>
      `Change the cluster's policy or WPS's settings so that ${target} is allowed, then run wps jobs retry`,
  },
  {
    means: "RBAC: the account lacks the verb",
    when: ({ status }) => status === 403,
    disposition: "stalled",
    reason: "denied",
    advice: ({ verb, resource }) =>
      `Grant WPS's account the verb ${verb} on ${
        resource || "this path"
      } (kubectl apply -f deploy/kubernetes), then run wps jobs retry`,
  },
  {
    means: "the object, or the namespace it should be in, is not there (any more)",
    when: ({ status }) => status === 404,
    disposition: "retry",
    reason: "not-found",
    advice: () => "None needed: WPS looks again and plans anew",
  },
  {
    means: "the object is another one than was seen: its uid is immutable, so naming the old one is refused",
    when: (answer) => answer.status === 422 && answer.causes.some(({ field }) => field === "metadata.uid"),
    disposition: "retry",
    reason: "conflict",
    advice: () => "None needed: WPS looks again and plans anew",
  },
  {
    means: "somebody wrote in between, it exists already, or a precondition failed (invariant 9)",
    when: ({ status }) => status === 409 || status === 412,
    disposition: "retry",
    reason: "conflict",
    advice: () => "None needed: WPS looks again and plans anew",
  },
  {
    means: "a list's continuation or a watch's version is too old",
    when: ({ status }) => status === 410,
    disposition: "retry",
    reason: "conflict",
    advice: () => "None needed: WPS lists again",
  },
  {
    means: "the request itself is wrong: repeating it cannot help",
    when: ({ status }) => [400, 405, 406, 413, 415, 422].includes(status),
    disposition: "stalled",
    reason: "invalid",
    advice: () =>
      "Correct the setting that the message names, then run wps jobs retry; otherwise report it as a fault of WPS",
  },
  {
    means: "the API server sheds load",
    when: ({ status }) => status === 429,
    disposition: "retry",
    reason: "throttled",
    advice: () => "None needed: WPS waits as long as the API server asks",
  },
  {
    means: "the API server, its database or a webhook behind it is not well",
    when: ({ status }) => status >= 500,
    disposition: "retry",
    reason: "unavailable",
    advice: () => "Look at the API server's health (kubectl get --raw /readyz?verbose)",
  },
];

/** The Fault for an answer that is no success. A status nobody expects is a retry: it says nothing about the object. */
export function faultOfAnswer(asked: Asked, answer: Answer): Fault {
  const row = FAULT_ROWS.find(({ when }) => when(answer));
  const fields = answer.causes.map(({ reason, field }) =>
    [reason, field].filter((part) => part !== "").join(" at ")
  );
  const prose = asked.secret
    ? [answer.reason, ...fields].filter((part) => part !== "").join(", ")
    : answer.message;
  return new Fault(
    row?.disposition ?? "retry",
    row?.reason ?? "internal",
    `Cannot ${asked.verb} ${asked.target}: ${prose || `HTTP ${answer.status}`}`,
    {
      target: asked.target,
      advice: row?.advice(asked, answer) ?? "Look at what stands between WPS and the API server",
      ...(answer.retryAfterMs === null ? {} : { retryAfterMs: answer.retryAfterMs }),
    },
  );
}

/** No answer within the time. The write may have been done; every write of ours may be repeated. */
export function faultOfTimeout(asked: Asked, timeoutMs: number): Fault {
  return new Fault(
    "retry",
    "timeout",
    `Cannot ${asked.verb} ${asked.target}: no answer within ${timeoutMs} ms`,
    {
      target: asked.target,
      advice: "Look at the load of the API server and the network to it",
    },
  );
}

/** The connection failed or broke; TLS failures say so, because time does not heal them. */
export function faultOfConnection(asked: Asked, thrown: unknown): Fault {
  const text = textOf(thrown).replace(/^error sending request for url \([^)]*\): /, "").slice(
    0,
    MESSAGE_MAX,
  );
  const isTls = /certificate|UnknownIssuer|tls|handshake/i.test(text);
  return new Fault(
    "retry",
    "unavailable",
    `Cannot ${asked.verb} ${asked.target}: ${text || "the connection failed"}`,
    {
      target: asked.target,
      advice: isTls
        ? "Correct the cluster's certificate authority, or the client certificate, in the kubeconfig"
        : "Check that the API server runs and can be reached from here",
      cause: thrown,
    },
  );
}

/**
 * Whether the connection failed because the server's certificate is not trusted, as after the cluster's authority was
 * replaced. rustls says so while the connection is made ("Connect"), so nothing was sent over it.
 */
export function isDistrust(thrown: unknown): thrown is Error {
  return /client error \(Connect\): invalid peer certificate/.test(textOf(thrown));
}

/** What an error and its causes say. */
function textOf(thrown: unknown): string {
  const texts: string[] = [];
  for (let at: unknown = thrown; at instanceof Error && texts.length < 4; at = at.cause) {
    texts.push(at.message);
  }
  return texts.join(": ");
}

/** The caller gave up. */
export function faultOfAbort(asked: Asked): Fault {
  return new Fault("cancelled", "cancelled", `Cannot ${asked.verb} ${asked.target}: stopped on request`, {
    target: asked.target,
  });
}

/** Invariant 8: what stands there is not WPS's. */
export function foreignFault(target: string, why: string): Fault {
  return new Fault("stalled", "foreign-object", `Cannot touch ${target}: ${why}`, {
    target,
    advice: `Rename or remove ${target}, then run wps jobs retry`,
  });
}

/** Nothing near sensitive data begins while nobody knows whether a leak would show. `what`: "start research/a". */
export function silentFault(what: string): Fault {
  return new Fault("wait", "canaries-silent", `Cannot ${what}: no canaries are known to be alive`, {
    target: "canaries",
    advice: "Bring the addresses of network.canaries back, or let the canaries' namespace run pods",
  });
}
