/** Firewall rules. */
import { MACROS } from "../guest/macros.ts";
import { findAlias, findIpSet, ipVersion } from "../state/addresses.ts";
import type { FirewallRule } from "../state/firewall_file.ts";
import { failure, parameterError } from "../wire/errors.ts";
import type { Call, CallTable } from "./call.ts";
import { checkDigest, digestOf, guestFile, rulesOf, scopeOf, writeFile } from "./firewall_file.ts";

const FIELDS = "comment dest dport icmp-type iface log macro proto source sport".split(" ");
const PORTS = ["dport", "sport"];
const ACTIONS = ["ACCEPT", "DROP", "REJECT"];

type Answer = Record<string, unknown>;

/** What is wrong with a rule, per field; rules are looked at again whenever they are read. */
function complaintsOf(call: Call, { type, action, fields }: FirewallRule): Record<string, string> {
  const errors: Record<string, string> = {};
  const scope = scopeOf(call);
  if (type === "group") return errors;
  if (type === "forward" && scope === "vm") {
    errors["type"] = "invalid rule type 'forward' for rule_env 'vm'";
  } else if (!ACTIONS.includes(action)) {
    errors["action"] = `unknown action '${action}'`;
  }
  const iface = fields.get("iface");
  if (scope === "vm" && iface !== undefined && !/^net\d+$/.test(iface)) {
    errors["iface"] = "value does not match the regex pattern 'net\\d+'";
  }
  const macro = fields.get("macro");
  if (macro !== undefined && !MACROS.has(macro)) errors["macro"] = `unknown macro '${macro}'`;
  for (const port of PORTS) {
    if (fields.has(port) && !fields.has("proto")) {
      errors["proto"] = `missing property - '${port}' requires this property`;
    }
  }
  for (const end of ["source", "dest"]) {
    const complaint = complaintOfAddress(call, fields.get(end));
    if (complaint !== undefined) errors[end] = complaint;
  }
  return errors;
}

function complaintOfAddress(call: Call, text: string | undefined): string | undefined {
  const [cluster, guest] = [call.world.clusterFirewall, guestFile(call)];
  for (const part of text?.split(",") ?? []) {
    if (part.startsWith("+")) {
      if (findIpSet(part, cluster, guest) === undefined) return `no such ipset '${part.slice(1)}'`;
    } else if (ipVersion(part.split("-")[0] ?? "") === undefined) {
      if (findAlias(part, cluster, guest) === undefined) return `no such alias '${part}'`;
    }
  }
  return undefined;
}

/** The version of the addresses that a rule names; undefined when it names none. */
function versionOf(call: Call, { fields }: FirewallRule): 4 | 6 | undefined {
  for (const end of ["source", "dest"]) {
    const first = fields.get(end)?.split(",")[0]?.split("-")[0];
    if (first === undefined || first.startsWith("+")) continue;
    const address = ipVersion(first) === undefined
      ? findAlias(first, call.world.clusterFirewall, guestFile(call))
      : first;
    if (address !== undefined) return ipVersion(address);
  }
  return undefined;
}

function answerRule(call: Call, rule: FirewallRule, pos: number | string, digest: string): Answer {
  const { type, action, enable, fields } = rule;
  const errors = complaintsOf(call, rule);
  const ipversion = versionOf(call, rule);
  return {
    type,
    action,
    enable,
    pos,
    digest,
    ...Object.fromEntries(fields),
    ...ipversion !== undefined && { ipversion },
    ...Object.keys(errors).length > 0 && { errors },
  };
}

function list(call: Call): Answer[] {
  const rules = rulesOf(call);
  const digest = digestOf(rules);
  return rules.map((rule, pos) => answerRule(call, rule, pos, digest));
}

function ruleAt(call: Call): { rules: FirewallRule[]; pos: number; rule: FirewallRule } {
  const rules = rulesOf(call);
  const pos = Number(call.values.need("pos"));
  const rule = rules[pos];
  if (rule === undefined) throw failure(`no rule at position ${pos}`);
  return { rules, pos, rule };
}

function read(call: Call): Answer {
  const { rules, rule } = ruleAt(call);
  // The position comes back as the text that it was in the path.
  return answerRule(call, rule, call.values.need("pos"), digestOf(rules));
}

function checkRule(call: Call, rule: FirewallRule): void {
  const errors = complaintsOf(call, rule);
  if (Object.keys(errors).length > 0) throw parameterError(errors);
}

function givenFields({ values }: Call): Array<[string, string]> {
  return FIELDS.flatMap((name) => {
    const value = values.text(name);
    return value === undefined ? [] : [[name, value] satisfies [string, string]];
  });
}

/** A new rule comes before all others, whatever position was asked for; without `enable` it is off. */
function create(call: Call): null {
  const { values } = call;
  checkDigest(call, rulesOf(call));
  const rule: FirewallRule = {
    type: values.need("type"),
    action: values.need("action"),
    enable: values.number("enable") ?? 0,
    fields: new Map(givenFields(call)),
  };
  checkRule(call, rule);
  writeFile(call);
  rulesOf(call).unshift(rule);
  return null;
}

function update(call: Call): null {
  const { values } = call;
  const before = rulesOf(call);
  checkDigest(call, before);
  const { pos, rule } = ruleAt(call);
  writeFile(call);
  const rules = rulesOf(call);
  const moveTo = values.number("moveto");
  if (moveTo !== undefined) {
    rules.splice(pos, 1);
    rules.splice(moveTo > pos ? moveTo - 1 : moveTo, 0, rule);
    return null;
  }
  const changed: FirewallRule = {
    type: values.text("type") ?? rule.type,
    action: values.text("action") ?? rule.action,
    enable: values.number("enable") ?? rule.enable,
    fields: new Map([...rule.fields, ...givenFields(call)]),
  };
  for (const name of values.list("delete")) changed.fields.delete(name);
  checkRule(call, changed);
  rules[pos] = changed;
  return null;
}

function remove(call: Call): null {
  checkDigest(call, rulesOf(call));
  const { pos } = ruleAt(call);
  writeFile(call);
  rulesOf(call).splice(pos, 1);
  return null;
}

function rulesAt(path: string): CallTable {
  return {
    [`GET ${path}`]: list,
    [`POST ${path}`]: create,
    [`GET ${path}/{pos}`]: read,
    [`PUT ${path}/{pos}`]: update,
    [`DELETE ${path}/{pos}`]: remove,
  };
}

/** Calls about rules of VMs, of the cluster and of its groups. */
export const FIREWALL_RULES: CallTable = {
  ...rulesAt("/nodes/{node}/qemu/{vmid}/firewall/rules"),
  ...rulesAt("/cluster/firewall/rules"),
  ...rulesAt("/cluster/firewall/groups/{group}"),
};
