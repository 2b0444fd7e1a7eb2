import assert from "node:assert/strict";
import { readTaskEnd } from "../../../src/drivers/proxmox/answers.ts";
import { HIDDEN, hiding, shownParams } from "../../../src/drivers/proxmox/hidden.ts";

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA7J6v6XJHXsN9Z5TOJuh5wMIY9ezliV9OqFZ2+2gJef dev@example";

Deno.test("shownParams: what is known to be harmless is shown, everything else only by its name", () => {
  const params = {
    newid: 47001,
    full: false,
    scsi1: "vmstore:1",
    digest: "0".repeat(40),
    cipassword: "correct horse battery staple",
    sshkeys: KEY,
    description: "wps note",
    "input-data": "seed",
    somethingNew: "who knows",
    onboot: true,
    gone: undefined,
  };
  assert.deepEqual(shownParams(params), {
    newid: 47001,
    full: false,
    scsi1: "vmstore:1",
    digest: "0".repeat(40),
    cipassword: HIDDEN,
    sshkeys: HIDDEN,
    description: HIDDEN,
    "input-data": HIDDEN,
    somethingNew: HIDDEN,
    onboot: true,
  });
});

Deno.test("hiding: a server that repeats a secret, whole, encoded or in part, is not repeated", () => {
  const hide = hiding({ cipassword: "p4ss/w ord", sshkeys: KEY, command: ["sh", "-c", "echo topsecret"] }, [
    "token-secret",
  ]);
  const texts = [
    `invalid urlencoded string: ${KEY}`,
    `invalid urlencoded string: ${KEY.replaceAll(" ", "+").replace("+2", "%2B2")}`,
    `got ${encodeURIComponent(KEY)}`,
    `no such key ${KEY.split(" ")[1]}`,
    "password 'p4ss/w ord' or p4ss%2Fw%20ord or p4ss%2Fw+ord is too short",
    "ran echo topsecret, a topsecret thing",
    "header PVEAPIToken=wps@pve!prod=token-secret",
  ];
  for (const text of texts) {
    const shown = hide(text);
    assert.match(shown, /\[hidden\]/, text);
    assert.doesNotMatch(shown, /AAAAC3|p4ss|topsecret|token-secret/, text);
  }
});

Deno.test("hiding: what was not secret stays readable", () => {
  const hide = hiding({ scsi1: "nosuch:1", description: "a b", cipassword: "abc" });
  assert.equal(hide("storage 'nosuch' does not exist; abc"), "storage 'nosuch' does not exist; abc");
});

Deno.test("readTaskEnd: a task's log does not show what it set, whoever began it", () => {
  const log = [`update VM 47001: -cipassword hunter2 hunter3 -cores 2 -sshkeys ${encodeURIComponent(KEY)}`];
  const { log: [line = ""] } = readTaskEnd("it failed", log, hiding({}));
  assert.equal(line, "update VM 47001: -cipassword [hidden] -cores 2 -sshkeys [hidden]");
});
