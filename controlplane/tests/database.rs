//! A fresh database for each test, on the server that `TEST_DATABASE_URL` names.

use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

const LOGIN_ROLE: &str = "vaultaire_test";

/// A fresh database that belongs to an ordinary user: a superuser would see through row-level security.
pub struct Database {
    admin: PgConnectOptions,
    name: String,
}

impl Database {
    pub async fn create() -> Self {
        let Ok(url) = std::env::var("TEST_DATABASE_URL") else {
            panic!(
                "TEST_DATABASE_URL is not set: run `make test`, or scripts/with-postgres cargo test -p controlplane"
            );
        };
        let admin = PgConnectOptions::from_str(&url).unwrap();
        let name = format!("test_{}", uuid::Uuid::new_v4().simple());
        let mut conn = admin.connect().await.unwrap();
        run(
            &mut conn,
            format!(
                "DO $$ BEGIN CREATE ROLE {LOGIN_ROLE} LOGIN CREATEROLE; \
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
            ),
        )
        .await;
        run(
            &mut conn,
            format!("CREATE DATABASE {name} OWNER {LOGIN_ROLE} TEMPLATE template0"),
        )
        .await;
        Self { admin, name }
    }

    pub fn url(&self) -> String {
        let (host, port) = (self.admin.get_host(), self.admin.get_port());
        format!("postgres://{LOGIN_ROLE}@{host}:{port}/{}", self.name)
    }

    /// As the superuser, whom no policy holds.
    pub async fn superuser(&self) -> PgConnection {
        self.admin
            .clone()
            .database(&self.name)
            .connect()
            .await
            .unwrap()
    }

    /// As the tables' owner.
    pub async fn owner(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.unwrap()
    }

    pub async fn drop(self) {
        let mut conn = self.admin.connect().await.unwrap();
        run(
            &mut conn,
            format!("DROP DATABASE {} WITH (FORCE)", self.name),
        )
        .await;
    }

    /// The one number that the query answers.
    pub async fn count(&self, sql: &str) -> i64 {
        let mut conn = self.superuser().await;
        let sql = AssertSqlSafe(sql.to_owned());
        sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap()
    }

    pub async fn execute(&self, sql: &str) {
        let mut conn = self.superuser().await;
        run(&mut conn, sql.to_owned()).await;
    }
}

async fn run(conn: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(conn)
        .await
        .unwrap();
}
