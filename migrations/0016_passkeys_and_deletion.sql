-- Passkeys beside codes of an app; and accounts that are deleted, with a time in which they can come back.

CREATE TABLE passkeys (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    member_id uuid NOT NULL REFERENCES members (id) ON DELETE CASCADE,
    -- What its member calls it.
    name text NOT NULL,
    credential_id bytea NOT NULL UNIQUE,
    -- The public key and what else never changes, as `webauthn_rp` encodes it.
    static_state bytea NOT NULL,
    -- The signature counter and what else a log-in may change.
    dynamic_state bytea NOT NULL CHECK (length(dynamic_state) = 7),
    created_at timestamptz NOT NULL,
    last_used_at timestamptz
);
CREATE INDEX passkeys_by_member ON passkeys (member_id);

ALTER TABLE passkeys ENABLE ROW LEVEL SECURITY;
ALTER TABLE passkeys FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON passkeys TO vaultaire_app
    USING (current_user = 'vaultaire_app' AND tenant_id = current_tenant());
CREATE POLICY all_rows ON passkeys TO vaultaire_system USING (current_user = 'vaultaire_system');
GRANT SELECT (id, tenant_id, member_id, name, created_at, last_used_at), UPDATE (name) ON passkeys TO vaultaire_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON passkeys TO vaultaire_system;

-- A passkey is being made or used: its challenge, until it is answered. Whose it will turn out to be is not known yet.
CREATE TABLE passkey_ceremonies (
    -- SHA-256 of what it is for, and of the session, the log-in or the browser that alone may answer. One at a time.
    binding bytea PRIMARY KEY CHECK (length(binding) = 32),
    -- What the new passkey is to be called.
    name text NOT NULL,
    state bytea NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX passkey_ceremonies_by_time ON passkey_ceremonies (expires_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON passkey_ceremonies TO vaultaire_system;

-- Recovery codes stand in for a passkey as well as for an app.
ALTER TABLE recovery_codes
    DROP CONSTRAINT recovery_codes_member_id_fkey,
    ADD FOREIGN KEY (member_id) REFERENCES members (id) ON DELETE CASCADE;

-- When the session passed a second step. For a quarter of an hour it is not asked for another.
ALTER TABLE sessions ADD COLUMN second_step_at timestamptz;

ALTER TABLE tenants
    ADD COLUMN deleted_at timestamptz,
    -- Until then the operator can restore it; the job that removes objects and rows comes after.
    ADD COLUMN remove_after timestamptz,
    ADD COLUMN removed_at timestamptz,
    -- What a restored tenant goes back to.
    ADD COLUMN status_before text CHECK (status_before IN ('active', 'read_only', 'suspended'));
CREATE INDEX tenants_to_remove ON tenants (remove_after) WHERE removed_at IS NULL AND remove_after IS NOT NULL;
