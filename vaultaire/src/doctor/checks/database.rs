//! Postgres, and what of Vaultaire is in it.

use controlplane::diagnosis::{Database, Role};

use super::super::facts::Facts;
use super::{Outcome, failure, joined, ok, skew, skipped, warning};

/// What one control plane takes: its pool, and the connections that listen.
const CONNECTIONS_OF_A_PLANE: i64 = 27;
const OLDEST: i32 = 15;

fn with(facts: &Facts, judge: impl FnOnce(&Database) -> Outcome) -> Outcome {
    match &facts.database {
        Some(Ok(database)) => judge(database),
        _ => skipped("the database could not be asked"),
    }
}

pub fn reachable(facts: &Facts) -> Outcome {
    match &facts.database {
        None => {
            skipped("no database is named here, and no control plane could be asked for its own")
        }
        Some(Ok(_)) => ok("it answers"),
        Some(Err(why)) => failure(
            why.clone(),
            "start Postgres, and check DATABASE_URL: docs/operate/install.md (with `vaultaire up`: its logs/postgres.log)",
        ),
    }
}

pub fn version(facts: &Facts) -> Outcome {
    with(facts, |database| {
        let major = database.server.version / 10_000;
        match major >= OLDEST {
            true => ok(format!("Postgres {major}")),
            false => failure(
                format!("Postgres {major}, and {OLDEST} or later is needed"),
                "upgrade Postgres: https://www.postgresql.org/docs/current/upgrading.html",
            ),
        }
    })
}

/// A superuser sees through row-level security while it has not taken a role; the two roles must never.
pub fn role(facts: &Facts) -> Outcome {
    with(facts, |database| {
        let roles = &database.roles;
        let inner: Vec<&Role> = roles.iter().filter(|role| !role.is_login).collect();
        if inner.len() < 2 {
            return skipped("the roles are made at the first start of a control plane");
        }
        for role in inner {
            let name = &role.name;
            if role.superuser || role.bypasses_rls {
                return failure(
                    format!("{name} sees through row-level security: tenants are not kept apart"),
                    format!("psql -c 'ALTER ROLE {name} NOSUPERUSER NOBYPASSRLS'"),
                );
            }
            if role.owned_tables > 0 {
                return failure(
                    format!(
                        "{name} owns {} tables, and may switch row-level security off",
                        role.owned_tables
                    ),
                    format!("psql -c 'REASSIGN OWNED BY {name} TO OWNER_OF_THE_DATABASE'"),
                );
            }
            if !role.can_be_taken {
                return failure(
                    format!("the user of DATABASE_URL may not act as {name}"),
                    format!("psql -c 'GRANT {name} TO USER_OF_DATABASE_URL'"),
                );
            }
        }
        match roles
            .iter()
            .find(|role| role.is_login && (role.superuser || role.bypasses_rls))
        {
            Some(login) => warning(
                format!(
                    "the user of DATABASE_URL, {}, is a superuser or bypasses row-level security",
                    login.name
                ),
                "give it an ordinary user with CREATEROLE that owns the database: docs/operate/install.md",
            ),
            None => ok("neither the user nor the two roles see through row-level security"),
        }
    })
}

pub fn isolation(facts: &Facts) -> Outcome {
    with(facts, |database| match database.unprotected.as_slice() {
        [] if database.migrations.newest.is_none() => skipped("there are no tables yet"),
        [] => ok("every table with tenants' rows forces row-level security"),
        [first, ..] => failure(
            format!(
                "row-level security is not forced on {}: one tenant could see another's rows",
                database.unprotected.join(", ")
            ),
            format!(
                "psql -c 'ALTER TABLE {first} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY'   (each of them, and its policies: migrations/)"
            ),
        ),
    })
}

pub fn schema(facts: &Facts) -> Outcome {
    with(facts, |database| {
        let found = &database.migrations;
        let numbers = |of: &[i64]| joined(of.iter().map(ToString::to_string));
        if !found.broken.is_empty() {
            return failure(
                format!(
                    "a migration began and did not end: {}",
                    numbers(&found.broken)
                ),
                "restore the backup that was made before the upgrade: docs/operate/backup.md",
            );
        }
        if !found.unknown.is_empty() {
            return failure(
                format!(
                    "the database is newer than this program, which does not know {}",
                    numbers(&found.unknown)
                ),
                "use the program that the control planes run: docs/operate/upgrade.md",
            );
        }
        if !found.altered.is_empty() {
            return failure(
                format!(
                    "done here with another text than this program's: {}",
                    numbers(&found.altered)
                ),
                "use the release that made this database: docs/operate/upgrade.md",
            );
        }
        match (found.newest, found.pending.as_slice()) {
            (_, []) => ok("as this program knows it"),
            (None, _) => warning(
                "the database is empty",
                "start a control plane, which makes the tables: docs/operate/install.md",
            ),
            (Some(_), pending) => warning(
                format!(
                    "the database is older than this program, which would bring {}",
                    numbers(pending)
                ),
                "restart the control planes with this program: docs/operate/upgrade.md",
            ),
        }
    })
}

pub fn connections(facts: &Facts) -> Outcome {
    with(facts, |database| {
        let server = &database.server;
        let most = i64::from(server.max_connections - server.reserved_connections);
        let used = server.used_connections;
        let shown = format!(
            "{used} of {most} in use; a control plane takes up to {CONNECTIONS_OF_A_PLANE}"
        );
        let mend = "psql -c 'ALTER SYSTEM SET max_connections = 200', then restart Postgres";
        match () {
            () if most < CONNECTIONS_OF_A_PLANE => failure(shown, mend),
            () if used * 10 >= most * 8 => warning(shown, mend),
            () => ok(shown),
        }
    })
}

pub fn clock(facts: &Facts) -> Outcome {
    with(facts, |database| {
        skew([("the database's clock", database.server.now - facts.now)])
    })
}
