-- What Stripe knows, as far as this system must act on it: a copy, fetched anew whenever Stripe says that something
-- happened.

-- Which price in Stripe sells which terms. A row stays when the plan is sold on other terms: who bought it pays it on.
CREATE TABLE stripe_prices (
    price_id text PRIMARY KEY,
    live boolean NOT NULL,
    plan_id text NOT NULL,
    version integer NOT NULL,
    kind text NOT NULL CHECK (kind IN ('base', 'storage', 'egress')),
    product_id text NOT NULL,
    UNIQUE (live, plan_id, version, kind),
    FOREIGN KEY (plan_id, version) REFERENCES terms (id, version)
);

CREATE TABLE stripe_customers (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    live boolean NOT NULL,
    -- Made by this system for this tenant; no other is ever believed to be the tenant's.
    customer_id text NOT NULL UNIQUE,
    -- The subscription that counts; null where there is none.
    subscription_id text,
    subscription_status text,
    -- From when the state is so: unpaid since, ended at.
    status_since timestamptz,
    cancel_at timestamptz,
    period_from timestamptz,
    period_to timestamptz,
    -- The one before, whose invoice is open for an hour more.
    last_from timestamptz,
    last_to timestamptz,
    -- The newest charge was given back as a whole.
    refunded_at timestamptz,
    dispute_status text,
    disputed_at timestamptz,
    fetched_at timestamptz,
    PRIMARY KEY (tenant_id, live)
);

CREATE TABLE stripe_invoices (
    invoice_id text PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    live boolean NOT NULL,
    number text,
    status text NOT NULL,
    currency text NOT NULL,
    total_cents bigint NOT NULL,
    amount_paid_cents bigint NOT NULL,
    created_at timestamptz NOT NULL,
    period_from timestamptz,
    period_to timestamptz,
    -- Stripe's own pages.
    hosted_url text,
    pdf_url text
);
CREATE INDEX stripe_invoices_by_tenant ON stripe_invoices (tenant_id, created_at);

-- Each event once, written in the transaction that acts on it.
CREATE TABLE stripe_events (
    event_id text PRIMARY KEY,
    kind text NOT NULL,
    customer_id text,
    -- Null: no tenant's.
    tenant_id uuid,
    state text NOT NULL CHECK (state IN ('done', 'ignored', 'failed')),
    created_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    attempts integer NOT NULL,
    next_attempt_at timestamptz,
    last_error text,
    CHECK (state <> 'failed' OR next_attempt_at IS NOT NULL)
);
CREATE INDEX stripe_events_by_time ON stripe_events (received_at);
CREATE INDEX stripe_events_to_retry ON stripe_events (next_attempt_at) WHERE state = 'failed';

-- When Stripe and this database were last compared.
CREATE TABLE stripe_compared (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    at timestamptz NOT NULL
);

DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['stripe_customers', 'stripe_invoices'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', table_name);
        EXECUTE format(
            'CREATE POLICY own_rows ON %I TO vaultaire_app USING (current_user = ''vaultaire_app'' AND tenant_id = current_tenant())',
            table_name);
        EXECUTE format(
            'CREATE POLICY all_rows ON %I TO vaultaire_system USING (current_user = ''vaultaire_system'')',
            table_name);
    END LOOP;
END
$$;

GRANT SELECT ON stripe_customers, stripe_invoices TO vaultaire_app;
GRANT SELECT, INSERT, UPDATE, DELETE
    ON stripe_prices, stripe_customers, stripe_invoices, stripe_events, stripe_compared
    TO vaultaire_system;
