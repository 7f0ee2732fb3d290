-- Those who run the installation: their log-in, which always takes a second step, and what they did.

CREATE TABLE operators (
    id uuid PRIMARY KEY,
    email text NOT NULL UNIQUE CHECK (email = lower(email)),
    -- Argon2id in PHC form.
    password_hash text,
    -- Sealed.
    totp_secret bytea,
    -- The time step of the last code that was accepted: none is accepted twice.
    totp_last_step bigint NOT NULL DEFAULT -1,
    -- SHA-256 of the set-up link's token, until it is used.
    setup_hash bytea UNIQUE CHECK (length(setup_hash) = 32),
    setup_expires_at timestamptz,
    created_at timestamptz NOT NULL,
    set_up_at timestamptz,
    last_log_in_at timestamptz,
    disabled_at timestamptz,
    -- Nobody has a password without a second step.
    CHECK ((password_hash IS NULL) = (totp_secret IS NULL)),
    CHECK ((setup_hash IS NULL) = (setup_expires_at IS NULL))
);

CREATE TABLE operator_recovery_codes (
    -- SHA-256 of the code, which is 80 random bits.
    code_hash bytea PRIMARY KEY CHECK (length(code_hash) = 32),
    operator_id uuid NOT NULL REFERENCES operators (id) ON DELETE CASCADE
);
CREATE INDEX operator_recovery_codes_by_operator ON operator_recovery_codes (operator_id);

-- A log-in whose password was right and whose second step is still to come.
CREATE TABLE operator_challenges (
    token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    operator_id uuid NOT NULL REFERENCES operators (id) ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);

CREATE TABLE operator_sessions (
    id uuid PRIMARY KEY,
    -- SHA-256 of the token.
    token_hash bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    operator_id uuid NOT NULL REFERENCES operators (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    -- Whatever happens.
    expires_at timestamptz NOT NULL,
    address text,
    user_agent text
);
CREATE INDEX operator_sessions_by_operator ON operator_sessions (operator_id);

CREATE TABLE operator_audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    -- An operator's address, or `admin token`.
    actor text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    -- No reference: the log outlives what it is about.
    tenant_id uuid,
    address text,
    user_agent text,
    request_id text,
    details jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX operator_audit_by_tenant ON operator_audit (tenant_id, id);
REVOKE UPDATE, DELETE, TRUNCATE ON operator_audit FROM CURRENT_USER;

-- One chain, as `audit_chain` has one for each tenant.
CREATE TABLE operator_audit_chain (
    entry_id bigint PRIMARY KEY,
    position bigint NOT NULL UNIQUE CHECK (position >= 1),
    hash bytea NOT NULL CHECK (length(hash) = 32)
);
REVOKE UPDATE, DELETE, TRUNCATE ON operator_audit_chain FROM CURRENT_USER;

-- The fields are named, so that columns that come later change no hash.
CREATE FUNCTION operator_audit_entry_hash(previous bytea, entry operator_audit) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(previous || convert_to(jsonb_build_array(
        'operators', entry.id, extract(epoch FROM entry.at)::text, entry.actor, entry.action, entry.target,
        entry.tenant_id, entry.address, entry.user_agent, entry.request_id, entry.details)::text, 'UTF8'))
$$;

-- With the owner's rights: a tenant's transaction adds to the chain and cannot read it. As in `chain_audit_entry` the
-- lock is taken at the end of the transaction.
CREATE FUNCTION chain_operator_audit_entry() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path FROM CURRENT AS $$
DECLARE
    last operator_audit_chain;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('audit of operators', 0));
    SELECT * INTO last FROM operator_audit_chain ORDER BY position DESC LIMIT 1;
    INSERT INTO operator_audit_chain (entry_id, position, hash)
    VALUES (NEW.id, coalesce(last.position, 0) + 1, operator_audit_entry_hash(coalesce(last.hash, ''), NEW));
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION chain_operator_audit_entry() FROM PUBLIC;

CREATE CONSTRAINT TRIGGER chain_operator_audit_entry AFTER INSERT ON operator_audit
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chain_operator_audit_entry();

DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['operators', 'operator_recovery_codes', 'operator_challenges',
                                      'operator_sessions', 'operator_audit'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', table_name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', table_name);
        EXECUTE format(
            'CREATE POLICY all_rows ON %I TO vaultaire_system USING (current_user = ''vaultaire_system'')',
            table_name);
    END LOOP;
END
$$;

-- What an operator does to a tenant is written down in the tenant's transaction, which can read none of it.
CREATE POLICY adds_own ON operator_audit FOR INSERT TO vaultaire_app
    WITH CHECK (current_user = 'vaultaire_app' AND tenant_id = current_tenant());
GRANT INSERT ON operator_audit TO vaultaire_app;

GRANT SELECT, INSERT, UPDATE, DELETE ON operators, operator_recovery_codes, operator_challenges, operator_sessions
    TO vaultaire_system;
GRANT SELECT, INSERT ON operator_audit TO vaultaire_system;
GRANT SELECT ON operator_audit_chain TO vaultaire_system;
