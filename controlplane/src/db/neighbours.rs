//! A database that another release has migrated: what is only more than this program knows is no hindrance, and what this
//! program cannot do without is refused (decision 0027).

use std::borrow::Cow;

use anyhow::ensure;
use sqlx::migrate::Migrator;
use sqlx::{PgPool, query_scalar};

use super::MIGRATIONS;

/// This program's migrations, for a database that may have gone through later ones.
pub(super) fn migrations() -> Migrator {
    Migrator {
        migrations: Cow::Borrowed(&MIGRATIONS.migrations),
        ignore_missing: true,
        ..Migrator::DEFAULT
    }
}

fn newest() -> i64 {
    MIGRATIONS.iter().map(|m| m.version).max().unwrap_or(0)
}

/// Fails where a later release took away what this one needs, or where the database went through a migration that is neither
/// this program's nor a later one.
pub(super) async fn refuse_contracted(pool: &PgPool) -> anyhow::Result<()> {
    // Not by macro: where they look there is no such table before the first migration.
    let migrated: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(pool)
        .await?;
    if !migrated {
        return Ok(());
    }
    let known = newest();
    let applied: Vec<i64> =
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE version <= $1")
            .bind(known)
            .fetch_all(pool)
            .await?;
    for version in applied {
        ensure!(
            MIGRATIONS.version_exists(version),
            "the database went through a migration {version} that this program does not know"
        );
    }
    let has_floor = query_scalar!(r#"SELECT to_regclass('schema_floor') IS NOT NULL AS "has!""#)
        .fetch_one(pool)
        .await?;
    if !has_floor {
        return Ok(());
    }
    let must_know = query_scalar!("SELECT must_know FROM schema_floor")
        .fetch_one(pool)
        .await?;
    ensure!(
        must_know <= known,
        "this database is of a newer release, which took away what this one needs: it is for programs that know migration \
         {must_know}, and this one knows {known}. Use the newer release, or restore a backup from before it"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Migrations from before the rule.
    const BEFORE: u32 = 19;
    const MARK: &str = "-- contract:";

    /// What the release before could not work with: the offending words.
    fn takes_away(sql: &str) -> Vec<String> {
        let code: String = sql
            .lines()
            .map(|line| line.split("--").next().unwrap_or_default())
            .collect::<Vec<_>>()
            .join(" ");
        let mut found = Vec::new();
        for statement in code.to_uppercase().split(';') {
            let words: Vec<&str> = statement.split_whitespace().collect();
            let says = |of: &[&str]| words.windows(of.len()).any(|at| at == of);
            let drops = [
                "TABLE", "COLUMN", "VIEW", "FUNCTION", "TYPE", "SEQUENCE", "ROLE",
            ];
            for what in drops {
                if says(&["DROP", what]) {
                    found.push(format!("DROP {what}"));
                }
            }
            for phrase in [
                &["RENAME"][..],
                &["SET", "NOT", "NULL"],
                &["SET", "DATA", "TYPE"],
            ] {
                if says(phrase) {
                    found.push(phrase.join(" "));
                }
            }
            if words
                .windows(4)
                .any(|at| at[0] == "ALTER" && at[1] == "COLUMN" && at[3] == "TYPE")
            {
                found.push("ALTER COLUMN TYPE".to_owned());
            }
            for column in statement.split("ADD COLUMN").skip(1) {
                let column = column.split("ADD C").next().unwrap_or_default();
                let filled = ["DEFAULT", "GENERATED"]
                    .iter()
                    .any(|by| column.contains(by));
                if column.contains("NOT NULL") && !column.contains("IS NOT NULL") && !filled {
                    found.push("ADD COLUMN NOT NULL without DEFAULT".to_owned());
                }
            }
        }
        found
    }

    /// What is wrong with a migration of this number.
    fn wrong(number: u32, sql: &str) -> Option<String> {
        let taken = takes_away(sql);
        let marked = sql.lines().any(|line| line.starts_with(MARK));
        let raises = sql.contains(&format!("UPDATE schema_floor SET must_know = {number}"));
        match (taken.is_empty(), marked, raises) {
            (true, false, false) | (false, true, true) => None,
            (false, _, _) => Some(format!(
                "{taken:?}: the release before cannot work with it. Leave it for a later release, and then begin a line \
                 with `{MARK}` and `UPDATE schema_floor SET must_know = {number}`"
            )),
            (true, _, _) => Some("it takes nothing away, and says that it does".to_owned()),
        }
    }

    #[test]
    fn no_migration_takes_away_what_the_release_before_needs_unless_it_says_so() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
        let mut seen = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let number: u32 = name.split('_').next().unwrap().parse().unwrap();
            if number > BEFORE {
                seen += 1;
                let sql = std::fs::read_to_string(&path).unwrap();
                assert_eq!(wrong(number, &sql), None, "{name}");
            }
        }
        assert!(seen >= 5, "{seen}");
    }

    #[test]
    fn what_takes_away_is_known_when_it_is_seen() {
        for sql in [
            "ALTER TABLE a DROP COLUMN b;",
            "drop table a;",
            "ALTER TABLE a RENAME COLUMN b TO c;",
            "ALTER TABLE a RENAME TO b;",
            "ALTER TABLE a ALTER COLUMN b TYPE bigint;",
            "ALTER TABLE a ALTER COLUMN b SET DATA TYPE bigint;",
            "ALTER TABLE a ALTER COLUMN b SET NOT NULL;",
            "ALTER TABLE a ADD COLUMN b text DEFAULT '',\n ADD COLUMN c text NOT NULL;",
        ] {
            assert!(wrong(30, sql).is_some(), "{sql}");
            let marked = format!("-- contract: nobody uses it\n{sql}");
            assert!(wrong(30, &marked).is_some(), "the floor is not raised");
            let raised = format!("{marked}\nUPDATE schema_floor SET must_know = 30;");
            assert_eq!(wrong(30, &raised), None, "{sql}");
            assert!(wrong(31, &raised).is_some(), "another's number");
        }
        for sql in [
            "CREATE TABLE a (b text NOT NULL); -- DROP TABLE x",
            "ALTER TABLE a ADD COLUMN b text NOT NULL DEFAULT '', ADD COLUMN c text;",
            "ALTER TABLE a ADD COLUMN b text CHECK (b IS NOT NULL);",
            "ALTER TABLE a ALTER COLUMN b DROP NOT NULL;",
            "ALTER TABLE a DROP CONSTRAINT c;",
        ] {
            assert_eq!(wrong(30, sql), None, "{sql}");
        }
        let idle = "-- contract: x\nUPDATE schema_floor SET must_know = 30;";
        assert!(wrong(30, idle).is_some());
    }
}
