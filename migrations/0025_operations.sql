-- What an operator looks after: revenue over time, nodes that are drained, jobs that failed, plans that are sold no more.

-- What a tenant's terms and standing came to, from then on. Written whenever that changes, in the transaction that changes
-- it; nobody alters a row.
CREATE TABLE revenue_steps (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    at timestamptz NOT NULL,
    plan_id text NOT NULL,
    version integer NOT NULL,
    currency text NOT NULL,
    -- What it pays a month; 0 while it pays nothing.
    mrr_cents bigint NOT NULL CHECK (mrr_cents >= 0),
    trial_ends_at timestamptz
);
CREATE INDEX revenue_steps_by_tenant ON revenue_steps (tenant_id, id DESC);
GRANT SELECT, INSERT ON revenue_steps TO vaultaire_system;

-- Of what was before there were steps, the present is known, and since when the terms hold.
SET LOCAL ROLE vaultaire_system;
INSERT INTO revenue_steps (tenant_id, at, plan_id, version, currency, mrr_cents, trial_ends_at)
SELECT t.id, t.terms_since, t.plan_id, t.terms_version, p.currency,
       CASE WHEN t.status <> 'deleted' AND a.rung IN ('good', 'ending', 'owing')
                 AND a.reason NOT IN ('', 'trial', 'never_paid') THEN p.price_cents ELSE 0 END,
       t.trial_ends_at
FROM tenants t JOIN terms p ON p.id = t.plan_id AND p.version = t.terms_version
     LEFT JOIN billing_accounts a ON a.tenant_id = t.id
ORDER BY t.terms_since, t.id;
RESET ROLE;

ALTER TABLE nodes
    ADD COLUMN connected_since timestamptz,
    -- The node's clock less the control plane's, when its stream began.
    ADD COLUMN clock_skew_ms bigint,
    -- The operator wants others to serve in its place.
    ADD COLUMN draining_at timestamptz,
    -- It has said that `/readyz` says so.
    ADD COLUMN drain_told_at timestamptz,
    -- It ended after it was drained: what it answered is booked, and it holds nothing until it comes back.
    ADD COLUMN left_at timestamptz;
GRANT SELECT (left_at) ON nodes TO vaultaire_app;

-- What was given up is kept for a while, with the reason.
ALTER TABLE mails
    ADD COLUMN last_error text,
    ADD COLUMN failed_at timestamptz;
ALTER TABLE customer_webhooks ADD COLUMN failed_at timestamptz;
-- How the removal of a deleted account went the last time.
ALTER TABLE tenants
    ADD COLUMN removal_attempts integer NOT NULL DEFAULT 0,
    ADD COLUMN removal_tried_at timestamptz,
    ADD COLUMN removal_error text;

-- Not sold any more, not even by the operator's hand. Who is on it stays on it.
ALTER TABLE plans ADD COLUMN retired_at timestamptz;

-- All tenants' usage of some hours.
CREATE INDEX usage_hours_by_hour ON usage_hours (hour);
