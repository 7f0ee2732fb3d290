-- What operators note about tenants, and their looks at a dashboard as its customer sees it.

CREATE TABLE tenant_notes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    at timestamptz NOT NULL,
    -- An operator's address, or `admin token`.
    author text NOT NULL,
    text text NOT NULL CHECK (length(text) BETWEEN 1 AND 4000)
);
CREATE INDEX tenant_notes_by_tenant ON tenant_notes (tenant_id, id);

CREATE TABLE impersonations (
    id uuid PRIMARY KEY,
    -- No reference: how it ended is written down after the session is gone.
    operator_session_id uuid NOT NULL,
    operator_id uuid NOT NULL REFERENCES operators (id) ON DELETE CASCADE,
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    began_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz
);
-- One look at a time.
CREATE UNIQUE INDEX impersonations_open ON impersonations (operator_session_id) WHERE ended_at IS NULL;
CREATE INDEX impersonations_due ON impersonations (expires_at) WHERE ended_at IS NULL;

DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['tenant_notes', 'impersonations'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', table_name);
        EXECUTE format(
            'CREATE POLICY all_rows ON %I TO vaultaire_system USING (current_user = ''vaultaire_system'')',
            table_name);
    END LOOP;
END
$$;

-- Notes are added and read; they go when the tenant's rows go.
GRANT SELECT, INSERT, DELETE ON tenant_notes TO vaultaire_system;
GRANT SELECT, INSERT, UPDATE ON impersonations TO vaultaire_system;
