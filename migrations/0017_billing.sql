-- What is sold, on which terms each tenant bought it, and where it stands with paying.

ALTER TABLE plans
    -- Bytes of answers that a billing period's price includes; null: reading is not charged.
    ADD COLUMN egress_bytes bigint CHECK (egress_bytes >= 0),
    -- For a GB-month stored beyond the plan, and a GB read beyond it, in millionths of the currency's smallest unit; null:
    -- it is not charged.
    ADD COLUMN storage_price_micros bigint CHECK (storage_price_micros >= 0),
    ADD COLUMN egress_price_micros bigint CHECK (egress_price_micros >= 0),
    -- Customers may choose it themselves.
    ADD COLUMN for_sale boolean NOT NULL DEFAULT false,
    -- Of the terms that are sold now.
    ADD COLUMN version integer NOT NULL DEFAULT 1 CHECK (version >= 1);
-- Four cents a GB-month, one cent a GB.
UPDATE plans SET egress_bytes = 40000000000000, storage_price_micros = 4000000, egress_price_micros = 1000000,
                 for_sale = true
WHERE id = 'business';

-- Every version of every plan. Nobody changes one: who bought it keeps it.
CREATE TABLE terms (LIKE plans INCLUDING CONSTRAINTS);
ALTER TABLE terms
    ALTER COLUMN version DROP DEFAULT,
    DROP COLUMN position,
    DROP COLUMN for_sale,
    ADD PRIMARY KEY (id, version),
    ADD FOREIGN KEY (id) REFERENCES plans (id);
INSERT INTO terms (id, version, name, price_cents, currency, storage_bytes, egress_bytes, storage_price_micros,
                   egress_price_micros, quota_bytes, quota_objects, quota_egress_bytes, requests_per_second, burst,
                   concurrent_requests, bytes_per_second, trial_days, bucket_limit, access_key_limit)
SELECT id, version, name, price_cents, currency, storage_bytes, egress_bytes, storage_price_micros,
       egress_price_micros, quota_bytes, quota_objects, quota_egress_bytes, requests_per_second, burst,
       concurrent_requests, bytes_per_second, trial_days, bucket_limit, access_key_limit
FROM plans;

ALTER TABLE tenants
    ADD COLUMN terms_version integer NOT NULL DEFAULT 1,
    -- When it came onto them; what nobody has paid for yet is owed from here.
    ADD COLUMN terms_since timestamptz NOT NULL DEFAULT now(),
    -- What paying, or not, leaves of it. `status` is the operator's own word; the worse of the two holds.
    ADD COLUMN billing_status text NOT NULL DEFAULT 'active' CHECK (billing_status IN ('active', 'read_only', 'suspended')),
    ADD FOREIGN KEY (plan_id, terms_version) REFERENCES terms (id, version);
ALTER TABLE tenants ALTER COLUMN terms_version DROP DEFAULT, ALTER COLUMN terms_since DROP DEFAULT;

-- What is known of a tenant's paying, and what was last told about it.
CREATE TABLE billing_accounts (
    tenant_id uuid PRIMARY KEY REFERENCES tenants (id),
    -- By the operator's word.
    paid_until timestamptz,
    rung text NOT NULL DEFAULT 'good' CHECK (rung IN ('good', 'ending', 'owing', 'read_only', 'suspended')),
    reason text NOT NULL DEFAULT '',
    -- From when what is owed is owed, or when what is paid ends.
    due_at timestamptz,
    since timestamptz NOT NULL,
    -- When time alone changes it next.
    next_at timestamptz
);
CREATE INDEX billing_accounts_by_next ON billing_accounts (next_at) WHERE next_at IS NOT NULL;

CREATE SEQUENCE invoice_number;
-- Written by this system where no Stripe is. Never changed but for when it was paid.
CREATE TABLE invoices (
    id uuid PRIMARY KEY,
    number bigint NOT NULL UNIQUE DEFAULT nextval('invoice_number'),
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    -- As they were on that day.
    company text NOT NULL,
    email text NOT NULL,
    currency text NOT NULL,
    -- Array of {description, quantity, amount_cents}.
    lines jsonb NOT NULL,
    total_cents bigint NOT NULL CHECK (total_cents >= 0),
    period_from timestamptz NOT NULL,
    period_to timestamptz NOT NULL CHECK (period_to > period_from),
    -- Up to where what was used beyond the plan is on this invoice or an earlier one.
    usage_to timestamptz NOT NULL,
    issued_at timestamptz NOT NULL,
    paid_at timestamptz
);
CREATE INDEX invoices_by_tenant ON invoices (tenant_id, number);

DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['billing_accounts', 'invoices'] LOOP
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

-- A tenant reads what it owes; only the system writes it.
GRANT SELECT ON terms, billing_accounts, invoices TO vaultaire_app;
GRANT SELECT, INSERT ON terms TO vaultaire_system;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing_accounts TO vaultaire_system;
GRANT SELECT, INSERT ON invoices TO vaultaire_system;
GRANT UPDATE (paid_at) ON invoices TO vaultaire_system;
GRANT USAGE ON SEQUENCE invoice_number TO vaultaire_system;
