-- What is used beyond the plan: told to Stripe, capped, and warned of.

-- How much of each billing period was told, or is about to be. Whole GB-months and whole GB.
CREATE TABLE metered (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    kind text NOT NULL CHECK (kind IN ('storage', 'egress')),
    period_from timestamptz NOT NULL,
    quantity bigint NOT NULL CHECK (quantity >= 0),
    PRIMARY KEY (tenant_id, kind, period_from)
);

-- Enqueued in the transaction that raises `metered`; Stripe takes each identifier once.
CREATE TABLE meter_events (
    identifier text PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    live boolean NOT NULL,
    customer_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('storage', 'egress')),
    quantity bigint NOT NULL CHECK (quantity > 0),
    -- Falls into the period that it belongs to.
    at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    last_error text,
    sent_at timestamptz
);
CREATE INDEX meter_events_to_send ON meter_events (next_attempt_at) WHERE sent_at IS NULL;

-- What a customer wants to hear of, and where it wants an end.
CREATE TABLE spending (
    tenant_id uuid PRIMARY KEY REFERENCES tenants (id),
    -- Of what comes on top of the plan's price in a billing period; null: no cap.
    cap_cents bigint CHECK (cap_cents >= 0),
    refuse_at_cap boolean NOT NULL DEFAULT false,
    -- Percent, of what the plan includes and of the cap.
    thresholds integer[] NOT NULL DEFAULT '{50,80,100}',
    webhook_url text,
    -- Sealed.
    webhook_secret bytea
);

-- Told once a period.
CREATE TABLE usage_alerts (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    resource text NOT NULL CHECK (resource IN ('storage', 'egress', 'spending')),
    period_from timestamptz NOT NULL,
    percent integer NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, resource, period_from, percent)
);

-- Webhooks to customers that are on their way.
CREATE TABLE customer_webhooks (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    body text NOT NULL,
    created_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    last_error text
);
CREATE INDEX customer_webhooks_by_time ON customer_webhooks (next_attempt_at);

-- At the cap, where the customer chose so: what may be stored, and read in this calendar month, at most.
ALTER TABLE tenants
    ADD COLUMN cap_storage_bytes bigint CHECK (cap_storage_bytes >= 0),
    ADD COLUMN cap_egress_bytes bigint CHECK (cap_egress_bytes >= 0);

DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['metered', 'meter_events', 'spending', 'usage_alerts', 'customer_webhooks'] LOOP
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

GRANT SELECT (tenant_id, cap_cents, refuse_at_cap, thresholds, webhook_url), INSERT,
      UPDATE (cap_cents, refuse_at_cap, thresholds, webhook_url, webhook_secret) ON spending TO vaultaire_app;
GRANT SELECT ON usage_alerts TO vaultaire_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON metered, meter_events, spending, usage_alerts, customer_webhooks
    TO vaultaire_system;
