import assert from "node:assert/strict";
import { Fault } from "../../src/core/fault.ts";
import { queueOptions, toBrokerFault } from "../../src/intake/topology.ts";

const TOPOLOGY = {
  exchange: "permit.events",
  queue: "wps.permit-events",
  deadLetterQueue: "wps.dead-letters",
};

Deno.test("toBrokerFault: says whether waiting helps, and what to do", () => {
  const cases: [string, string, string, RegExp][] = [
    [
      "connect ECONNREFUSED 127.0.0.1:5672",
      "retry",
      "unavailable",
      /Check broker\.url and that RabbitMQ runs/,
    ],
    ["connect ETIMEDOUT", "retry", "unavailable", /Check broker\.url/],
    ["getaddrinfo ENOTFOUND broker", "retry", "unavailable", /Check broker\.url/],
    ["Handshake terminated by server: 403 (ACCESS-REFUSED)", "stalled", "denied", /Check user and password/],
    [
      "Channel closed by server: 403 (ACCESS-REFUSED) with message",
      "stalled",
      "denied",
      /permission on permit\.events, wps\.permit-events/,
    ],
    ["Connection closed: 530 (NOT-ALLOWED)", "stalled", "unavailable", /virtual host/],
    [
      "Channel closed by server: 406 (PRECONDITION-FAILED)",
      "stalled",
      "conflict",
      /delete it, and WPS declares it anew/,
    ],
    ["invalid peer certificate: UnknownIssuer", "retry", "unavailable", /Check broker\.caFile/],
  ];
  for (const [text, disposition, reason, advice] of cases) {
    const fault = toBrokerFault(new Error(text), "amqp://broker:5672/spe", TOPOLOGY);
    assert.deepEqual([fault.disposition, fault.reason, fault.message], [
      disposition,
      reason,
      `Cannot consume from amqp://broker:5672/spe: ${text}`,
    ]);
    assert.match(fault.advice ?? "", advice, text);
  }
  const own = new Fault("retry", "timeout", "as it is");
  assert.equal(toBrokerFault(own, "x", TOPOLOGY), own);
});

Deno.test("queueOptions: durable, replicated, bounded deliveries, dead letters that are never lost", () => {
  assert.deepEqual(queueOptions(TOPOLOGY), {
    durable: true,
    arguments: {
      "x-queue-type": "quorum",
      "x-delivery-limit": 20,
      "x-dead-letter-exchange": "",
      "x-dead-letter-routing-key": "wps.dead-letters",
      "x-dead-letter-strategy": "at-least-once",
      "x-overflow": "reject-publish",
    },
  });
});
