-- The master key is exchanged while control planes run: which version seals, and which control plane knows which.

-- Versions under which something was ever sealed. What names a key tells nothing else of it.
CREATE TABLE master_keys (
    version smallint PRIMARY KEY CHECK (version BETWEEN 0 AND 255),
    fingerprint text NOT NULL UNIQUE,
    since timestamptz NOT NULL,
    -- Nothing is sealed under it, and nothing can be from then on.
    dropped_at timestamptz
);
GRANT SELECT ON master_keys TO vaultaire_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON master_keys TO vaultaire_system;

ALTER TABLE settings
    -- Seals from now on; null: no control plane of a release that knows of this has started yet.
    ADD COLUMN master_key_version smallint REFERENCES master_keys (version),
    -- Everything was seen to be sealed under it.
    ADD COLUMN resealed boolean NOT NULL DEFAULT true;

CREATE TABLE control_planes (
    -- New at every start of the process.
    id uuid PRIMARY KEY,
    version text NOT NULL,
    started_at timestamptz NOT NULL,
    -- It is taken for running until then, unless it says more.
    running_until timestamptz NOT NULL,
    -- The versions that it knows, with their fingerprints: `{"1": "0011223344556677"}`.
    master_keys jsonb NOT NULL,
    -- The version under which it seals.
    seals_under smallint NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON control_planes TO vaultaire_system;

-- A control plane that stood still, or is of an older release, may seal under a key that was dropped since: nobody could
-- open it once that key is gone. It is refused. The arguments are the table's sealed columns.
CREATE FUNCTION refuse_dropped_master_key() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sealed bytea;
BEGIN
    FOR i IN 0 .. TG_NARGS - 1 LOOP
        EXECUTE format('SELECT ($1).%I', TG_ARGV[i]) INTO sealed USING NEW;
        IF length(sealed) > 0
            AND EXISTS (SELECT FROM master_keys WHERE version = get_byte(sealed, 0) AND dropped_at IS NOT NULL)
        THEN
            RAISE EXCEPTION 'sealed under version % of the master key, which was dropped', get_byte(sealed, 0);
        END IF;
    END LOOP;
    RETURN NEW;
END
$$;
CREATE TRIGGER refuse_dropped_master_key BEFORE INSERT OR UPDATE OF token_keys ON settings
    FOR EACH ROW EXECUTE FUNCTION refuse_dropped_master_key('token_keys');
CREATE TRIGGER refuse_dropped_master_key
    BEFORE INSERT OR UPDATE OF secret, old_secret, environment, superseded ON engines
    FOR EACH ROW EXECUTE FUNCTION refuse_dropped_master_key('secret', 'old_secret', 'environment', 'superseded');
CREATE TRIGGER refuse_dropped_master_key BEFORE INSERT OR UPDATE OF secret ON access_keys
    FOR EACH ROW EXECUTE FUNCTION refuse_dropped_master_key('secret');
CREATE TRIGGER refuse_dropped_master_key BEFORE INSERT OR UPDATE OF content ON mails
    FOR EACH ROW EXECUTE FUNCTION refuse_dropped_master_key('content');
CREATE TRIGGER refuse_dropped_master_key BEFORE INSERT OR UPDATE OF secret ON totp
    FOR EACH ROW EXECUTE FUNCTION refuse_dropped_master_key('secret');
CREATE TRIGGER refuse_dropped_master_key BEFORE INSERT OR UPDATE OF totp_secret ON operators
    FOR EACH ROW EXECUTE FUNCTION refuse_dropped_master_key('totp_secret');
CREATE TRIGGER refuse_dropped_master_key BEFORE INSERT OR UPDATE OF answer ON idempotent_requests
    FOR EACH ROW EXECUTE FUNCTION refuse_dropped_master_key('answer');
CREATE TRIGGER refuse_dropped_master_key BEFORE INSERT OR UPDATE OF webhook_secret ON spending
    FOR EACH ROW EXECUTE FUNCTION refuse_dropped_master_key('webhook_secret');
