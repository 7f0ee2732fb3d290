-- The name of this database's history of changes: numbers of one history say nothing in another.
ALTER TABLE revision ADD COLUMN epoch uuid NOT NULL DEFAULT gen_random_uuid();
GRANT SELECT (epoch) ON revision TO vaultaire_system;

-- The operator has said that this node is to take this database's snapshot, whatever it followed before.
ALTER TABLE nodes ADD COLUMN accepted boolean NOT NULL DEFAULT false;

-- A node whose last word from a control plane is older than this refuses the tenant's requests; null: never.
ALTER TABLE tenants ADD COLUMN max_staleness_seconds integer CHECK (max_staleness_seconds >= 1);
