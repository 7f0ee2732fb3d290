-- What was found when database and engines were last compared, and what was done about it.
CREATE TABLE drift_reports (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    report jsonb NOT NULL
);
GRANT SELECT, INSERT, DELETE ON drift_reports TO vaultaire_system;
