-- Hard quotas. What a tenant may use of something is handed out to nodes in leases, whose sum never exceeds what is left.

ALTER TABLE plans
    -- Refused beyond; null where there is no limit.
    ADD COLUMN quota_objects bigint CHECK (quota_objects >= 0),
    -- In a calendar month (UTC).
    ADD COLUMN quota_egress_bytes bigint CHECK (quota_egress_bytes >= 0);
-- The operator's, in place of the plan's.
ALTER TABLE tenants
    ADD COLUMN quota_objects bigint CHECK (quota_objects >= 0),
    ADD COLUMN quota_egress_bytes bigint CHECK (quota_egress_bytes >= 0),
    ADD COLUMN bucket_limit integer CHECK (bucket_limit >= 0),
    ADD COLUMN access_key_limit integer CHECK (access_key_limit >= 0);

-- Where the node keeps account of its leases. A node that has lost its ledger begins another.
ALTER TABLE nodes
    ADD COLUMN ledger text,
    -- What was outstanding there was given back; the node must begin another.
    ADD COLUMN void_ledger text,
    -- Its token is refused from then on.
    ADD COLUMN removed_at timestamptz;

-- Sums since the ledger began; granted − consumed is what the node may still use.
CREATE TABLE leases (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    resource text NOT NULL CHECK (resource IN ('stored_bytes', 'objects', 'egress_bytes')),
    -- The calendar month (UTC), such as 202603; 0 for what is not counted by months.
    period integer NOT NULL,
    node_id uuid NOT NULL REFERENCES nodes (id),
    ledger text NOT NULL,
    granted bigint NOT NULL CHECK (granted >= 0),
    consumed bigint NOT NULL DEFAULT 0 CHECK (consumed BETWEEN 0 AND granted),
    granted_at timestamptz NOT NULL,
    -- The node has lost account of it. What was stored under it is not all booked: it is held until the inventories have
    -- seen that.
    lost_at timestamptz,
    PRIMARY KEY (tenant_id, resource, period, node_id, ledger)
);
CREATE INDEX leases_outstanding_by_node ON leases (node_id) WHERE granted > consumed;

-- What is read in a calendar month, as far as it is booked. What is stored stands in `tenant_usage`, whose row is locked by
-- whoever grants or books.
CREATE TABLE egress_months (
    tenant_id uuid NOT NULL,
    -- Such as 202603, UTC.
    month integer NOT NULL,
    bytes bigint NOT NULL,
    PRIMARY KEY (tenant_id, month)
);

DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['leases', 'egress_months'] LOOP
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
GRANT SELECT ON egress_months TO vaultaire_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON leases, egress_months TO vaultaire_system;
