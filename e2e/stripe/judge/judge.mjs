// Stripe's npm package as the second judge: it walks from a customer to a refund, verifies what the stand-in signs, and signs
// what the stand-in would. Settings come by environment: STRIPE_API_BASE, and STRIPE_NPM, the folder that has the package.

import assert from "node:assert/strict";
import http from "node:http";
import { createRequire } from "node:module";

const Stripe = createRequire(`${process.env.STRIPE_NPM}/package.json`)("stripe");
const base = new URL(process.env.STRIPE_API_BASE);
const SECRET = "whsec_judge";
const stripe = new Stripe("sk_test_standin", {
  host: base.hostname,
  port: base.port,
  protocol: "http",
  maxNetworkRetries: 0,
  telemetry: false,
});

async function does(what, given = {}) {
  const answer = await fetch(new URL(`/_test/${what}`, base), { method: "POST", body: JSON.stringify(given) });
  assert.equal(answer.status, 200, what);
  return answer.json();
}

const heard = [];
const ear = http.createServer(async (request, answer) => {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  heard.push({ body: Buffer.concat(pieces), signature: request.headers["stripe-signature"] });
  answer.end();
});
await new Promise((done) => ear.listen(0, "127.0.0.1", done));
await does("webhook", { url: `http://127.0.0.1:${ear.address().port}/`, secret: SECRET });

async function fromACustomerToARefund() {
  const clock = await stripe.testHelpers.testClocks.create({ frozen_time: 1_775_000_400 });
  const product = await stripe.products.create({ name: "Business" });
  const meter = await stripe.billing.meters.create({
    display_name: "Stored",
    event_name: "stored",
    default_aggregation: { formula: "sum" },
  });
  const price = { product: product.id, currency: "usd" };
  const flat = await stripe.prices.create({ ...price, unit_amount: 149_900, recurring: { interval: "month" } });
  const recurring = { interval: "month", usage_type: "metered", meter: meter.id };
  const metered = await stripe.prices.create({ ...price, unit_amount: 2, recurring });
  const customer = await stripe.customers.create({ email: "ada@engines.example", test_clock: clock.id });
  const session = await stripe.checkout.sessions.create({
    mode: "subscription",
    customer: customer.id,
    line_items: [{ price: flat.id, quantity: 1 }, { price: metered.id }],
    success_url: "http://127.0.0.1:1/billing",
  });
  const paid = await fetch(session.url, { method: "POST", body: new URLSearchParams({ card: "4242424242424242" }), redirect: "manual" });
  assert.equal(paid.status, 303);
  const done = await stripe.checkout.sessions.retrieve(session.id, { expand: ["subscription"] });
  assert.deepEqual([done.status, done.subscription.status], ["complete", "active"]);
  await stripe.billing.meterEvents.create({ event_name: "stored", payload: { stripe_customer_id: customer.id, value: "50" } });
  const end = done.subscription.items.data[0].current_period_end;
  await stripe.testHelpers.testClocks.advance(clock.id, { frozen_time: end + 7_200 });
  const invoices = await stripe.invoices.list({ customer: customer.id });
  assert.deepEqual(invoices.data.map((each) => [each.status, each.total]), [["paid", 150_000], ["paid", 149_900]]);
  const portal = await stripe.billingPortal.sessions.create({ customer: customer.id });
  assert.match(await (await fetch(portal.url)).text(), /Business: active/);
  const [charge] = (await stripe.charges.list({ customer: customer.id })).data;
  const refund = await stripe.refunds.create({ charge: charge.id });
  assert.deepEqual([refund.amount, refund.status], [150_000, "succeeded"]);
}

async function whatStripeRefuses() {
  const refused = stripe.customers.create({ emial: "x" });
  await assert.rejects(refused, (error) => error.code === "parameter_unknown" && error.param === "emial");
  const nobody = stripe.customers.retrieve("cus_nobody");
  await assert.rejects(nobody, (error) => error.code === "resource_missing" && error.statusCode === 404);
}

async function whatIsSigned() {
  assert.equal((await does("settle")).settled, true);
  heard.length = 0;
  const { id } = await stripe.customers.create({ name: "Ada Žižková" });
  assert.equal((await does("settle")).settled, true);
  const [{ body, signature }] = heard;
  const event = stripe.webhooks.constructEvent(body, signature, SECRET);
  assert.deepEqual([event.type, event.data.object.id], ["customer.created", id]);
  const forged = (error) => error.type === "StripeSignatureVerificationError";
  const altered = body.toString().replace("Ada", "Eve");
  assert.throws(() => stripe.webhooks.constructEvent(altered, signature, SECRET), forged);
  assert.throws(() => stripe.webhooks.constructEvent(body, signature, "whsec_other"), forged);
  const timestamp = Number(signature.split(",")[0].slice(2));
  const made = stripe.webhooks.generateTestHeaderString({ payload: body.toString(), secret: SECRET, timestamp });
  assert.equal(made, signature);
}

for (const chapter of [fromACustomerToARefund, whatStripeRefuses, whatIsSigned]) {
  await chapter();
  console.log(chapter.name);
}
ear.close();
