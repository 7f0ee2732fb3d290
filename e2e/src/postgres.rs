//! A database server of the harness's own, for the story in which it is killed and comes back.
//! What is in it is nobody's: it does not wait for the disk.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::unistd::{Gid, Uid, User, chown};

use crate::process::{Process, clear_environment, run, succeed};
use crate::{ports, tools, until};

pub struct Postgres {
    folder: PathBuf,
    port: u16,
    owner: Option<User>,
    server: Option<Process>,
}

impl Postgres {
    /// Makes a cluster in `folder`, which must not exist, and starts it.
    #[track_caller]
    pub fn start(folder: PathBuf) -> Self {
        std::fs::create_dir(&folder).expect("a folder can be made");
        // The server refuses root.
        let owner = Uid::effective().is_root().then(|| {
            let named = |name| User::from_name(name).expect("users can be asked for");
            named("postgres")
                .or_else(|| named("nobody"))
                .expect("there is a user nobody")
        });
        if let Some(User { uid, gid, .. }) = owner {
            chown(&folder, Some(uid), Some(gid)).expect("root can give a folder away");
        }
        let mut postgres = Self {
            folder,
            port: ports::free(&[0]),
            owner,
            server: None,
        };
        let mut initdb = postgres.program("initdb");
        initdb.args([
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
            "-D",
        ]);
        initdb.arg(postgres.folder.join("data"));
        succeed(&mut initdb, Duration::from_secs(60));
        postgres.again();
        postgres
    }

    fn program(&self, name: &str) -> Command {
        let program = tools::postgres_bin().join(name);
        let mut command = match &self.owner {
            None => Command::new(program),
            Some(User { uid, gid, .. }) => {
                let (uid, gid): (&Uid, &Gid) = (uid, gid);
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={uid}"), format!("--regid={gid}")]);
                // Changing the user clears the signal that ends it with the test.
                command.args(["--clear-groups", "--pdeathsig=QUIT", "--"]);
                command.arg(program);
                command
            }
        };
        clear_environment(&mut command);
        command.current_dir(&self.folder);
        command
    }

    /// Starts the server on its cluster and port.
    #[track_caller]
    pub fn again(&mut self) {
        let mut server = self.program("postgres");
        server.arg("-D").arg(self.folder.join("data"));
        server.args([
            "-p",
            &self.port.to_string(),
            "-c",
            "listen_addresses=127.0.0.1",
        ]);
        server.args(["-c", "unix_socket_directories=", "-c", "fsync=off"]);
        let parent = self.folder.parent().expect("it is in a folder").to_owned();
        self.server = Some(Process::start("postgres", &parent, &server));
        let pid_file = self.folder.join("data/postmaster.pid");
        until("Postgres is ready", Duration::from_secs(60), || {
            let text = std::fs::read_to_string(&pid_file).ok()?;
            let mut lines = text.lines().map(str::trim);
            let pid = lines.next()?.to_owned();
            let ready = lines.nth(6) == Some("ready");
            (ready && std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(())
        });
    }

    /// `kill -9` of the server; its children notice and end.
    pub fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill();
        }
    }

    /// `None` after [`kill`](Self::kill). The server's children, one a connection, are its own.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Process::pid)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// The same database behind another port of this machine's.
    pub fn url_at(&self, port: u16) -> String {
        format!("postgres://postgres@127.0.0.1:{port}/postgres")
    }

    /// What a statement answers, past whatever stands between planes and server: fields are separated by `|`.
    pub fn query(&self, statement: &str) -> Option<String> {
        let mut psql = self.program("psql");
        psql.args(["-XAt", &self.url(), "-c", statement]);
        let output = run(&mut psql, Duration::from_secs(30));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(said)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            // SIGTERM would wait for clients to leave.
            server.send(nix::sys::signal::Signal::SIGQUIT);
        }
    }
}
