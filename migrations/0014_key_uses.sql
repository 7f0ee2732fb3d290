-- When each access key was last used, and at which node. To the minute, so that booking seldom writes here; in a table
-- of its own, so that booking does not wait for changes of the key.
CREATE TABLE access_key_uses (
    tenant_id uuid NOT NULL,
    access_key_id text NOT NULL,
    used_at timestamptz NOT NULL,
    -- Null: it was used before this was written down.
    node_id uuid,
    PRIMARY KEY (tenant_id, access_key_id)
);

-- What a tenant may know of how its limits are divided: its own rows.
DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['access_key_uses', 'allotments', 'demands'] LOOP
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
GRANT SELECT ON access_key_uses, allotments, demands, leases TO vaultaire_app;
GRANT SELECT (id, s3_address, connected_until, last_seen, created_at, removed_at, floor, floor_held) ON nodes
    TO vaultaire_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON access_key_uses TO vaultaire_system;

-- Of what was booked before, the hour is known.
SET LOCAL ROLE vaultaire_system;
INSERT INTO access_key_uses (tenant_id, access_key_id, used_at)
SELECT tenant_id, access_key_id, max(hour) FROM usage_hours WHERE access_key_id <> '' GROUP BY 1, 2;
RESET ROLE;
