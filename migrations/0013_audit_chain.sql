-- Each entry of the audit log is chained to the one before it of the same tenant: its hash is over that one's hash and
-- its own content. Whoever changes or removes an entry, even past the database's rights, breaks the chain.
CREATE TABLE audit_chain (
    -- No reference: a removed entry is to leave its place in the chain.
    entry_id bigint PRIMARY KEY,
    tenant_id uuid,
    position bigint NOT NULL CHECK (position >= 1),
    hash bytea NOT NULL CHECK (length(hash) = 32),
    UNIQUE NULLS NOT DISTINCT (tenant_id, position)
);
REVOKE UPDATE, DELETE, TRUNCATE ON audit_chain FROM CURRENT_USER;
ALTER TABLE audit_chain ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_chain FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON audit_chain TO vaultaire_app
    USING (current_user = 'vaultaire_app' AND tenant_id = current_tenant());
CREATE POLICY all_rows ON audit_chain TO vaultaire_system USING (current_user = 'vaultaire_system');
GRANT SELECT, INSERT ON audit_chain TO vaultaire_app, vaultaire_system;

-- The fields are named, so that columns that come later change no hash.
CREATE FUNCTION audit_entry_hash(previous bytea, entry audit_log) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(previous || convert_to(jsonb_build_array(
        entry.id, extract(epoch FROM entry.at)::text, entry.tenant_id, entry.actor, entry.action, entry.target,
        entry.address, entry.user_agent, entry.request_id, entry.details)::text, 'UTF8'))
$$;

-- At the end of the transaction, when it waits for nothing else any more: this lock is always the last that is taken.
CREATE FUNCTION chain_audit_entry() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last audit_chain;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('audit ' || coalesce(NEW.tenant_id::text, ''), 0));
    IF NEW.tenant_id IS NULL THEN
        SELECT * INTO last FROM audit_chain WHERE tenant_id IS NULL ORDER BY position DESC LIMIT 1;
    ELSE
        SELECT * INTO last FROM audit_chain WHERE tenant_id = NEW.tenant_id ORDER BY position DESC LIMIT 1;
    END IF;
    INSERT INTO audit_chain (entry_id, tenant_id, position, hash)
    VALUES (NEW.id, NEW.tenant_id, coalesce(last.position, 0) + 1, audit_entry_hash(coalesce(last.hash, ''), NEW));
    RETURN NULL;
END
$$;

-- What was written before there was a chain.
SET LOCAL ROLE vaultaire_system;
DO $$
DECLARE
    entry audit_log;
    last audit_chain;
BEGIN
    FOR entry IN SELECT * FROM audit_log ORDER BY id LOOP
        SELECT * INTO last FROM audit_chain WHERE tenant_id IS NOT DISTINCT FROM entry.tenant_id
            ORDER BY position DESC LIMIT 1;
        INSERT INTO audit_chain (entry_id, tenant_id, position, hash)
        VALUES (entry.id, entry.tenant_id, coalesce(last.position, 0) + 1,
                audit_entry_hash(coalesce(last.hash, ''), entry));
    END LOOP;
END
$$;
RESET ROLE;

CREATE CONSTRAINT TRIGGER chain_audit_entry AFTER INSERT ON audit_log
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chain_audit_entry();
