-- Two releases beside each other on one database.

-- A program must know the migration of this number to work with this database. Raised by migrations that take something
-- away (docs/decisions/0027-expand-and-contract.md), and by nothing else.
CREATE TABLE schema_floor (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    must_know bigint NOT NULL
);
INSERT INTO schema_floor (must_know) VALUES (0);
GRANT SELECT ON schema_floor TO vaultaire_system;

-- Sealed: what the environment said of this engine before what it says now, the newest last. A control plane that is
-- started with such words is behind.
ALTER TABLE engines ADD COLUMN superseded bytea;

-- A program from before credentials could be exchanged writes what its environment says at each start. From where the
-- environment is kept it must not: whoever may change credentials says so in one of the other columns, or reseals.
CREATE FUNCTION keep_engine_credentials() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RETURN OLD;
END
$$;
CREATE TRIGGER keep_engine_credentials BEFORE UPDATE ON engines FOR EACH ROW
    WHEN ((OLD.access_key_id, OLD.secret) IS DISTINCT FROM (NEW.access_key_id, NEW.secret)
          AND OLD.environment IS NOT NULL
          AND (OLD.environment, OLD.old_secret, OLD.rotation_revision)
              IS NOT DISTINCT FROM (NEW.environment, NEW.old_secret, NEW.rotation_revision)
          AND current_setting('vaultaire.resealing', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION keep_engine_credentials();
