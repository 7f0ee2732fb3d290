-- Several engines at once: which one new buckets go to, how much each holds, and credentials that are being exchanged.
ALTER TABLE engines
    -- Where new buckets go of tenants of which nothing else was said.
    ADD COLUMN is_default boolean NOT NULL DEFAULT false,
    -- What the operator says that it holds; null: unknown.
    ADD COLUMN capacity_bytes bigint CHECK (capacity_bytes > 0),
    -- No new buckets from then on.
    ADD COLUMN disabled_at timestamptz,
    ADD COLUMN created_at timestamptz NOT NULL DEFAULT now(),
    -- Sealed: what the environment said of it when it was last taken over from there. Null: not of the environment.
    ADD COLUMN environment bytea,
    -- The credentials before these (sealed), until every node is known to have these.
    ADD COLUMN old_access_key_id text,
    ADD COLUMN old_secret bytea,
    ADD COLUMN rotated_at timestamptz,
    -- The revision in which nodes hear of these.
    ADD COLUMN rotation_revision bigint,
    ADD CHECK ((old_access_key_id IS NULL) = (old_secret IS NULL));
UPDATE engines SET is_default = true WHERE id = 'main';
CREATE UNIQUE INDEX engines_default ON engines (is_default) WHERE is_default;
-- A bucket is made where its tenant's buckets go.
GRANT SELECT (is_default, disabled_at) ON engines TO vaultaire_app;

-- Where this tenant's new buckets go; null: to the default engine.
ALTER TABLE tenants ADD COLUMN engine_id text REFERENCES engines (id);

-- What the last look at each engine found. Beside `engines`, because it is written all the time.
CREATE TABLE engine_health (
    engine_id text PRIMARY KEY REFERENCES engines (id) ON DELETE CASCADE,
    checked_at timestamptz NOT NULL,
    reachable boolean NOT NULL,
    -- Since when it is reachable, or is not.
    since timestamptz NOT NULL,
    -- Of the last answer.
    latency_millis integer,
    -- Kept when it is reachable again.
    last_error text,
    last_error_at timestamptz
);
GRANT SELECT, INSERT, UPDATE, DELETE ON engine_health TO vaultaire_system;
