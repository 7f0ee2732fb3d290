-- Invitations to a team, and the second step of the log-in.

CREATE TABLE invitations (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    email text NOT NULL CHECK (email = lower(email)),
    role text NOT NULL CHECK (role IN ('admin', 'developer', 'billing', 'read_only')),
    -- SHA-256 of the link's token.
    token_hash bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    invited_by text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    UNIQUE (tenant_id, email)
);

CREATE TABLE totp (
    member_id uuid PRIMARY KEY REFERENCES members (id) ON DELETE CASCADE,
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    -- Sealed.
    secret bytea NOT NULL,
    -- The time step of the last code that was accepted: none is accepted twice.
    last_step bigint NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE recovery_codes (
    -- SHA-256 of the code, which is 80 random bits.
    code_hash bytea PRIMARY KEY CHECK (length(code_hash) = 32),
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    member_id uuid NOT NULL REFERENCES totp (member_id) ON DELETE CASCADE
);
CREATE INDEX recovery_codes_by_member ON recovery_codes (member_id);

-- A log-in whose password was right and whose second step is still to come.
CREATE TABLE log_in_challenges (
    token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    member_id uuid NOT NULL REFERENCES members (id) ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);
CREATE INDEX log_in_challenges_by_member ON log_in_challenges (member_id);

DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['invitations', 'totp', 'recovery_codes', 'log_in_challenges'] LOOP
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

GRANT UPDATE (role), DELETE ON members TO vaultaire_app;
GRANT SELECT (id, tenant_id, email, role, invited_by, created_at, expires_at), INSERT,
      UPDATE (role, token_hash, invited_by, created_at, expires_at), DELETE
    ON invitations TO vaultaire_app;
GRANT SELECT (member_id, tenant_id, created_at) ON totp TO vaultaire_app;
GRANT SELECT (member_id, tenant_id) ON recovery_codes TO vaultaire_app;

GRANT SELECT, INSERT, UPDATE, DELETE ON invitations, totp, recovery_codes, log_in_challenges TO vaultaire_system;
