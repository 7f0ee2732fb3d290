"""What the suite is run against: an engine asked directly, or Vaultaire over it.

A target has, for each worker of a run, an address and three users that nobody else has: the suite looks at all of a
user's buckets, so that workers who share users would see each other's.
"""

import json
import subprocess
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from processes import Process, clean_environment, free_pair, free_ports, get

OPERATOR = ("VAULTAIREENGINE00000", "engine-secret-of-a-conformance-run-000000")
ROLES = ("main", "alt", "tenant")
REGION = "us-east-1"


@dataclass
class User:
    """One S3 account, in the suite's words; `user_id` is what it is called as an owner."""

    access_key: str
    secret_key: str
    user_id: str
    display_name: str
    email: str


@dataclass
class Seat:
    """Where one worker works: a port of loopback, and its user for each of ROLES."""

    port: int
    users: dict = field(default_factory=dict)


def made_up_users(worker):
    """Users that an engine is told of at its start."""
    return {
        role: User(
            access_key=f"{role.upper()}{worker:02}KEY".ljust(20, "0"),
            secret_key=uuid.uuid4().hex + "00000000",
            user_id=f"{role}{worker}id",
            display_name=f"{role}{worker}",
            email=f"{role}{worker}@example.com",
        )
        for role in ROLES
    }


class SeaweedFS:
    """The engine that `vaultaire up` brings along, with its switches (vaultaire/src/up/engine.rs)."""

    name = "seaweedfs"
    PARTS = ("master", "volume", "filer", "s3")

    def __init__(self, tools, folder, workers):
        weed, self.folder = tools / "weed", folder / self.name
        version = subprocess.run([weed, "version"], capture_output=True, text=True, check=True)
        self.title = f"SeaweedFS {version.stdout.split()[2]}"
        (self.folder / "data").mkdir(parents=True)
        ports = free_ports(8)
        self._grpc, self.port = ports[1::2], ports[6]
        self._seats = [Seat(self.port, made_up_users(worker)) for worker in range(workers)]
        self._configure()
        self._process = Process(self.name, self.folder, [weed, *self._switches(ports)], self._environment())
        status = f"http://127.0.0.1:{ports[0]}/dir/status"
        endpoint = f"http://127.0.0.1:{self.port}"
        self._process.until("ready", lambda: self._has_room(status) and get(endpoint) is not None)

    def _environment(self):
        return clean_environment(HOME=str(self.folder), TMPDIR=str(self.folder))

    def _configure(self):
        everyone = [user for seat in self._seats for user in seat.users.values()]
        accounts = [{"id": u.user_id, "displayName": u.display_name, "emailAddress": u.email} for u in everyone]
        identities = [self._identity("vaultaire", *OPERATOR)]
        for user, account in zip(everyone, accounts):
            identities.append(self._identity(user.user_id, user.access_key, user.secret_key, account=account))
        (self.folder / "s3.json").write_text(json.dumps({"identities": identities, "accounts": accounts}))
        (self.folder / "master.toml").write_text("[master.volume_growth]\ncopy_1 = 1\n")

    @staticmethod
    def _identity(name, key, secret, **further):
        return {
            "name": name,
            "credentials": [{"accessKey": key, "secretKey": secret}],
            "actions": ["Admin"],
            **further,
        }

    def _switches(self, ports):
        switches = """-logtostderr=true server -ip=127.0.0.1 -ip.bind=127.0.0.1 -dir=data -master.telemetry=false
            -master.volumePreallocate=false -master.volumeSizeLimitMB=4096 -master.electionTimeout=1s
            -volume.max=100000 -volume.minFreeSpace=1 -volume.preStopSeconds=0 -filer -filer.localSocket=filer.sock
            -filer.disableDirListing=true -s3 -s3.config=s3.json -s3.localSocket=s3.sock -s3.iam=false
            -s3.port.iceberg=0 -s3.port.lance=0 -s3.autoCreateBucket=false -s3.allowDeleteBucketNotEmpty=false
            -webdav=false -sftp=false -mq.broker=false -mq.agent=false -iam=false -metricsPort=0""".split()
        for at, part in enumerate(self.PARTS):
            switches += [f"-{part}.port={ports[2 * at]}", f"-{part}.port.grpc={ports[2 * at + 1]}"]
        return switches

    @staticmethod
    def _has_room(status):
        said = get(status)
        return said is not None and json.loads(said)["Topology"].get("Free", 0) > 0

    def seats(self):
        return self._seats

    def stop(self):
        self._process.stop(patience=2)
        # Its sockets, wherever it is told to have its files.
        for part, port in zip(self.PARTS, self._grpc):
            Path(f"/tmp/seaweedfs-{part}-grpc-{port}.sock").unlink(missing_ok=True)


class Moto:
    """moto's server: S3 in memory, one for each worker, because it knows no accounts."""

    name = "moto"

    def __init__(self, tools, folder, workers):
        server = tools / "venv/bin/moto_server"
        python = tools / "venv/bin/python"
        version = "import importlib.metadata as m; print(m.version('moto'))"
        version = subprocess.run([python, "-c", version], capture_output=True, text=True, check=True)
        self.title = f"moto {version.stdout.strip()}"
        (folder / self.name).mkdir()
        ports = free_ports(workers)
        self.port = ports[0]
        self._seats = [Seat(port, made_up_users(worker)) for worker, port in enumerate(ports)]
        self._processes = []
        for port in ports:
            command = [python, server, "-H", "127.0.0.1", "-p", port]
            process = Process(f"moto-{port}", folder / self.name, command, clean_environment())
            process.until("ready", lambda at=port: get(f"http://127.0.0.1:{at}") is not None)
            self._processes.append(process)

    def seats(self):
        return self._seats

    def stop(self):
        for process in self._processes:
            process.stop()


ENGINES = {engine.name: engine for engine in (SeaweedFS, Moto)}


class Vaultaire:
    """`vaultaire up` over an engine that runs already, with three tenants for each worker."""

    def __init__(self, binary, tools, folder, engine, placement, workers):
        self._binary, self._folder = binary, folder / f"{engine.name}-{placement}"
        self._folder.mkdir()
        self._data, http, self.port = self._folder / "data", free_pair(), free_pair()
        environment = clean_environment(
            VAULTAIRE_TOOLS=str(tools),
            VAULTAIRE_ENGINE_ENDPOINT=f"http://127.0.0.1:{engine.port}",
            VAULTAIRE_ENGINE_REGION=REGION,
            VAULTAIRE_ENGINE_ACCESS_KEY_ID=OPERATOR[0],
            VAULTAIRE_ENGINE_SECRET_ACCESS_KEY=OPERATOR[1],
            VAULTAIRE_ENGINE_PLACEMENT=placement,
            VAULTAIRE_ENGINE_POOL_BUCKET="vaultaire-pool",
        )
        command = [binary, "up", "--data-dir", self._data]
        command += ["--http", f"127.0.0.1:{http}", "--s3", f"127.0.0.1:{self.port}"]
        self._process = Process("vaultaire", self._folder, command, environment)
        self._process.until("ready", lambda: "vaultaire: ready" in self._process.said())
        probed = self._data / "logs" / "controlplane.log"
        self._process.until("done with probing", lambda: "engine probed" in probed.read_text(errors="replace"))
        self._seats = [Seat(self.port, self._tenants(worker)) for worker in range(workers)]

    def _ask(self, *words):
        command = [self._binary, *words, "--data-dir", self._data, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, env=clean_environment(), timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{done.stderr}")
        return json.loads(done.stdout)

    def _tenants(self, worker):
        users = {}
        for role in ROLES:
            name, email = f"{role}{worker}", f"{role}{worker}@example.com"
            made = self._ask("tenant", "create", "--name", name, "--email", email, "--plan", "business")
            tenant = made["tenant_id"]
            self._ask("tenant", "set", tenant, "--rate", "100000", "--burst", "100000")
            users[role] = User(made["access_key_id"], made["secret_access_key"], tenant, tenant, email)
        return users

    def seats(self):
        return self._seats

    def stop(self):
        self._process.stop()
